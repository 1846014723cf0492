// What happens around Voila's own scripts: the page appears once it is drawn, and says so when its kernel is gone.
"use strict";
(() => {
  const show = (id, is) => { const one = document.getElementById(id); if (one) one.hidden = !is; };

  window.cellLoaded = true;
  // Voila calls this when its plugins have started.
  window.voila_finish = () => {
    show("opening", false);
    document.getElementById("tool").removeAttribute("aria-busy");
  };

  // Jupyter's client reconnects by itself; only a person can tell whether to start over.
  let leaving = false;
  window.addEventListener("beforeunload", () => { leaving = true; });
  const Plain = window.WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...given) {
      super(...given);
      this.addEventListener("open", () => show("lost", false));
      this.addEventListener("close", () => { if (!leaving) show("lost", true); });
    }
  };
})();
