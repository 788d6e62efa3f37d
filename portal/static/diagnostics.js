// Tells the portal what time it is here; that it does says that scripts run. Once for each page.
(() => {
  "use strict";

  const form = document.getElementById("measure");
  if (form && "htmx" in window) {
    htmx.process(form); // else it may not have seen the form yet
    form.elements.time.value = Date.now();
    form.requestSubmit();
  }

  // How long the number can be told, and then the page that says it cannot.
  const left = document.getElementById("number-countdown");
  if (left) {
    left.hidden = false;
    const seconds = Number(left.querySelector("b").dataset.countdown);
    setTimeout(() => location.replace("/diagnostics/result"), seconds * 1000);
  }
})();
