// What HTML cannot do. Without this file every page still works: the popup stands open on its page,
// waits are told by the server, and buttons say what is wrong.
(() => {
  "use strict";

  const channel = "BroadcastChannel" in window ? new BroadcastChannel("portal") : null;
  const root = () => document.querySelector("#confirmation, #link"); // what belongs to a request

  // Other windows of this browser show what changed here at once, and this one what changed there.
  const tell = () => {
    const here = root();
    if (here) channel?.postMessage({ id: here.dataset.confirmation, version: here.dataset.version });
  };
  channel?.addEventListener("message", ({ data }) => {
    const here = root();
    if (here && data.id === here.dataset.confirmation && data.version !== here.dataset.version) look();
  });

  const look = () => {
    const here = root();
    if (!here) return;
    const { state, version } = here.dataset;
    // The source says to the server which part is asked for; without it the whole page comes.
    htmx.ajax("GET", `${state}?seen=${version}`, { source: here, target: `#${here.id}`, swap: "outerMorph" });
  };

  // The popup: modal, closed by Esc and by its own link alike. In a pause it has no field.
  const showPopup = () => {
    const popup = document.querySelector("dialog#code");
    const field = popup?.querySelector("#code-input") ?? null;
    if (popup && !popup.matches(":modal")) {
      popup.close();
      popup.showModal();
      field?.focus();
    }
    if (field !== offered) offerCodeFromSms(field);
  };
  document.addEventListener("cancel", (event) => {
    if (event.target.id !== "code") return;
    event.preventDefault();
    event.target.querySelector("[data-close]").click();
  }, true);

  // WebOTP: the phone's browser offers the code of an SMS whose last line names this site.
  let offered = null; // the field that it would be put into
  let awaited = null;
  const offerCodeFromSms = (field) => {
    awaited?.abort();
    offered = field;
    if (!field || !("OTPCredential" in window)) return;
    awaited = new AbortController();
    navigator.credentials
      .get({ otp: { transport: ["sms"] }, signal: awaited.signal })
      .then((credential) => {
        field.value = credential.code;
        field.form.requestSubmit();
      })
      .catch(() => {});
  };

  // The sixth digit submits, once for each code typed.
  let submitted = "";
  document.addEventListener("input", (event) => {
    if (event.target.id !== "code-input") return;
    const digits = event.target.value.replace(/[\s-]/g, "");
    if (/^[0-9]{6}$/.test(digits) && digits !== submitted) {
      submitted = digits;
      event.target.form.requestSubmit();
    } else if (digits.length < 6) {
      submitted = "";
    }
  });

  // Countdowns run by the time since the page was drawn: this computer's clock may be wrong.
  const drawn = new WeakMap();
  const clock = (seconds) => {
    const two = (number) => String(number).padStart(2, "0");
    const hours = Math.floor(seconds / 3600);
    const minutes = Math.floor((seconds % 3600) / 60);
    return (hours ? `${hours}:${two(minutes)}` : `${minutes}`) + `:${two(seconds % 60)}`;
  };
  const left = (element, name) => {
    const end = drawn.get(element) ?? performance.now() + Number(element.dataset[name]) * 1000;
    drawn.set(element, end);
    return Math.max(0, Math.ceil((end - performance.now()) / 1000));
  };
  // What is said to who does not see it. Outside an open popup nothing would be heard.
  const say = (words) => {
    const region = document.getElementById("code-said") ?? document.getElementById("said");
    if (region.textContent !== words) region.textContent = words;
  };
  const SAID_AT = new Set([300, 60, 30]);
  const tick = () => {
    for (const element of document.querySelectorAll("[data-countdown]")) {
      const seconds = left(element, "countdown");
      element.textContent = clock(seconds);
      if (SAID_AT.has(seconds)) say(element.parentNode.textContent.trim());
      if (!seconds && !element.dataset.over) {
        element.dataset.over = "yes";
        look();
      }
    }
    for (const button of document.querySelectorAll("[data-wait]")) {
      button.dataset.label ??= button.textContent;
      const seconds = left(button, "wait");
      button.disabled = seconds > 0;
      button.textContent = seconds ? `${button.dataset.waiting} ${clock(seconds)}` : button.dataset.label;
    }
  };

  // When what was pressed is gone, the field for a code has the focus, or the heading; on the page of a
  // request, what the row of a button says that waits now, or the next button. Elsewhere a second Enter
  // would press another's.
  let part = ""; // what is being swapped
  let held = false;
  let row = "";
  const keepFocus = () => {
    const here = document.getElementById(part);
    const { activeElement } = document;
    if (!here || !held || (activeElement !== document.body && !activeElement.disabled)) return;
    const next =
      here.querySelector("[autofocus]") ??
      document.getElementById(row)?.querySelector('[role="status"]') ??
      (here === root() ? here.querySelector("form button:enabled") : null) ??
      document.querySelector("h1");
    next.focus({ preventScroll: true });
  };

  const trouble = (shown) => {
    for (const element of document.querySelectorAll(".trouble")) element.hidden = !shown;
    if (shown) submitted = "";
  };

  // A part says of itself how things stand; once the focus has moved, what is new of it is said.
  let heard = "";
  const sayNews = () => {
    const words = document.getElementById(part)?.dataset.said;
    if (words && words !== heard) setTimeout(say, 100, words);
  };

  const settle = () => {
    for (const element of document.querySelectorAll("[data-countdown], [data-wait]")) {
      drawn.delete(element);
      delete element.dataset.over;
      delete element.dataset.label;
    }
    showPopup();
    tick();
    keepFocus();
    sayNews();
    tell();
    document.querySelector("#code-input[aria-invalid]")?.select();
  };

  // What was typed and not sent is not left without the browser's question.
  let unsent = document.querySelector('[data-unsent="typed"]');
  document.addEventListener("input", ({ target }) => {
    if (target.form && "unsent" in target.form.dataset) unsent = target.form;
  });
  document.addEventListener("submit", ({ target }) => {
    if (target === unsent) unsent = null;
  });
  window.addEventListener("beforeunload", (event) => unsent && event.preventDefault());

  document.addEventListener("htmx:before:swap", (event) => {
    const { target } = event.detail.tasks[0];
    part = target.id;
    heard = target.dataset.said;
    held = target.contains(document.activeElement);
    row = document.activeElement?.closest("tr")?.id;
    // A look that was asked for before the last answer came knows nothing of it.
    const asked = new URL(event.detail.ctx.request.action, location).searchParams.get("seen");
    if (asked && root() && asked !== root().dataset.version) {
      event.preventDefault();
      return;
    }
    // Another window may have chosen another language meanwhile: then all of the page has to speak it,
    // once there is no answer or popup that a new page would not show.
    const { response, text } = event.detail.ctx;
    const spoken = response?.headers.get("Content-Language");
    if (unsent || !spoken || spoken === document.documentElement.lang || response.status >= 400 || text.includes("<dialog")) return;
    event.preventDefault();
    location.reload();
  });
  document.addEventListener("htmx:after:swap", ({ detail }) => {
    if (detail.ctx.swap === "none") return;
    document.title = document.title.replace(/.*(?= · )/, () => document.querySelector("h1").textContent.trim());
    // A mistake made twice is told in the same words: only as a new element is it said again.
    const error = document.getElementById("code-error");
    error?.replaceWith(error.cloneNode(true));
    settle();
  });
  document.addEventListener("htmx:after:request", ({ detail }) => {
    trouble((detail.ctx?.response?.status ?? 0) >= 500);
  });
  document.addEventListener("htmx:error", () => trouble(true));
  window.addEventListener("pageshow", (event) => event.persisted && look());

  setInterval(tick, 500);
  settle();
})();
