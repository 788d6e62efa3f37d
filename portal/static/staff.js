// What HTML cannot do on the pages of those who sign in: ask a passkey, copy and print codes, take
// two clicks for one.
(() => {
  "use strict";

  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (sign) => sign.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const known = (list) => (list ?? []).map((each) => ({ ...each, id: bytes(each.id) }));

  const create = async (options) => {
    const publicKey = {
      ...options,
      challenge: bytes(options.challenge),
      user: { ...options.user, id: bytes(options.user.id) },
      excludeCredentials: known(options.excludeCredentials),
    };
    const made = await navigator.credentials.create({ publicKey });
    const { clientDataJSON, attestationObject } = made.response;
    return {
      id: made.id,
      rawId: text(made.rawId),
      type: made.type,
      response: { clientDataJSON: text(clientDataJSON), attestationObject: text(attestationObject) },
    };
  };

  const get = async (options) => {
    const publicKey = {
      ...options,
      challenge: bytes(options.challenge),
      allowCredentials: known(options.allowCredentials),
    };
    const found = await navigator.credentials.get({ publicKey });
    const { clientDataJSON, authenticatorData, signature, userHandle } = found.response;
    return {
      id: found.id,
      rawId: text(found.rawId),
      type: found.type,
      response: {
        clientDataJSON: text(clientDataJSON),
        authenticatorData: text(authenticatorData),
        signature: text(signature),
        userHandle: userHandle ? text(userHandle) : null,
      },
    };
  };

  // The form is sent with the passkey's answer; the button waits meanwhile. Where the portal has
  // a page for us instead of a question, the form is sent as it is: the answer is that page.
  const ask = async (form) => {
    const button = form.querySelector("button");
    const silence = document.getElementById("trouble");
    const trouble = form.querySelector(".error");
    button.disabled = true;
    trouble.hidden = silence.hidden = true;
    const own = new URLSearchParams({ csrf_token: form.elements.csrf_token.value });
    const asked = await fetch(form.dataset.passkey, { method: "POST", body: own }).catch(() => null);
    if (!asked || asked.status >= 500) {
      silence.hidden = button.disabled = false;
      button.focus(); // a disabled one loses it
      return;
    }
    try {
      if (asked.headers.get("Content-Type") === "application/json") {
        const use = "creates" in form.dataset ? create : get;
        form.elements.answer.value = JSON.stringify(await use(await asked.json()));
      }
      form.submit();
    } catch (reason) {
      const has = reason.name === "InvalidStateError" && form.dataset.known;
      trouble.textContent = has || form.dataset.failed;
      trouble.hidden = button.disabled = false;
      button.focus();
    }
  };

  if ("PublicKeyCredential" in window) {
    for (const form of document.querySelectorAll("[data-passkey]")) {
      form.hidden = false;
      form.addEventListener("submit", (event) => {
        event.preventDefault();
        ask(form);
      });
    }
    // The first way is the nearest one, unless another was just tried.
    if (!document.querySelector("[aria-invalid]")) document.querySelector("#passkey button")?.focus();
  }

  // Two clicks mean one. The second of a double click may land on the page that came meanwhile; and
  // who clicks again because no page comes would be told that it was done already.
  const AWAITED = 30_000;
  let sent = new WeakSet();
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest("a, button")) event.preventDefault();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.getAttribute("method") !== "post" || form.target) return;
    if (sent.has(form)) event.preventDefault();
    sent.add(form);
    setTimeout(() => sent.delete(form), AWAITED);
  });
  window.addEventListener("pageshow", () => { sent = new WeakSet(); });

  const codes = () =>
    [...document.querySelectorAll(".codes code")].map((each) => each.textContent).join("\r\n");
  for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(codes());
        button.textContent = button.dataset.copied;
      } catch {
        getSelection().selectAllChildren(document.querySelector(".codes")); // for Ctrl+C
      }
    });
  }
  for (const button of document.querySelectorAll("[data-print]")) {
    button.addEventListener("click", () => window.print());
  }
  for (const link of document.querySelectorAll("[data-download]")) {
    const of = document.querySelector(".of").textContent;
    link.href = URL.createObjectURL(new Blob([`${of}\r\n${codes()}`], { type: "text/plain" }));
  }
})();
