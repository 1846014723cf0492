// What happens around Voila's own scripts: the page appears once it is drawn, a row can be chosen where it is, and the page
// says so when its kernel is gone.
"use strict";
(() => {
  const show = (id, is) => { const one = document.getElementById(id); if (one) one.hidden = !is; };
  document.documentElement.classList.add("gb-live");

  // Voila calls this when its plugins have started.
  window.cellLoaded = true;
  window.voila_finish = () => {
    show("opening", false);
    document.getElementById("tool").removeAttribute("aria-busy");
  };

  // A page that broke off says so itself.
  document.addEventListener("DOMContentLoaded", () => { if (document.getElementById("broken")) show("opening", false); });

  // The table is drawn anew; whoever uses the keyboard goes on from the same place.
  const keepFocus = (table, selector) => {
    const again = new MutationObserver(() => {
      const same = table.querySelector(selector);
      if (same && document.activeElement === document.body) same.focus({ preventScroll: true });
    });
    again.observe(table, { childList: true, subtree: true });
    setTimeout(() => again.disconnect(), 3000);
  };

  // The fields of the row that was chosen may be beneath the edge of the window.
  const showForm = table => {
    const drawn = new MutationObserver(() => {
      const form = [...table.querySelectorAll(".gb-edits-part > .gb-form")].find(one => one.offsetHeight);
      if (form && table.querySelector('[data-gb-choose][aria-pressed="true"]')) {
        form.scrollIntoView({ block: "nearest" });
      }
    });
    drawn.observe(table, { attributes: true, childList: true, subtree: true });
    setTimeout(() => drawn.disconnect(), 1500);
  };

  // A table's button stands for an entry of the field beneath the table, which is what the kernel hears of.
  document.addEventListener("click", event => {
    const button = event.target instanceof Element ? event.target.closest("button[data-gb-choose]") : null;
    const table = button && button.closest(".gb-table-part");
    const field = table && table.querySelector(".gb-pick select");
    if (!field) return;
    const place = button.dataset.gbChoose;
    keepFocus(table, `button[data-gb-choose="${place}"]`);
    showForm(table);
    field.selectedIndex = button.getAttribute("aria-pressed") === "true" ? 0 : Number(place);
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // A head sorts by its column, and once more the other way round: it stands for the two fields above the table.
  document.addEventListener("click", event => {
    const head = event.target instanceof Element ? event.target.closest("button[data-gb-sort]") : null;
    const table = head && head.closest(".gb-table-part");
    const sort = table && table.querySelector(".gb-sort select");
    const way = table && table.querySelector(".gb-way select");
    if (!sort || !way) return;
    const sorted = head.closest("th").getAttribute("aria-sort");
    const [field, index] = sorted ? [way, sorted === "ascending" ? 1 : 0] : [sort, Number(head.dataset.gbSort)];
    keepFocus(table, `button[data-gb-sort="${head.dataset.gbSort}"]`);
    field.selectedIndex = index;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // A row's box stands for an entry of the list beneath the table.
  document.addEventListener("change", event => {
    const box = event.target instanceof Element ? event.target.closest("input[data-gb-mark]") : null;
    const table = box && box.closest(".gb-table-part");
    const field = table && table.querySelector(".gb-marks select");
    const option = field && field.options[Number(box.dataset.gbMark)];
    if (!option) return;
    keepFocus(table, `input[data-gb-mark="${box.dataset.gbMark}"]`);
    option.selected = box.checked;
    field.dispatchEvent(new Event("change", { bubbles: true }));
  });

  // A longer message than the service takes would end the connection, so a file that is too large is not sent at all.
  // The field that asks for it is on no page: it is met when it is clicked.
  const mostBytes = 900000;
  const plainClick = HTMLInputElement.prototype.click;
  HTMLInputElement.prototype.click = function () {
    const part = this.type === "file" && document.activeElement && document.activeElement.closest(".gb-upload-part");
    if (part && !this.dataset.gbLimited) {
      this.dataset.gbLimited = "yes";
      this.addEventListener("change", event => {
        part.querySelectorAll(".gb-too-large").forEach(one => one.remove());
        if (![...this.files].some(file => file.size > mostBytes)) return;
        event.stopImmediatePropagation();
        this.value = "";
        const told = document.createElement("p");
        told.className = "gb-wrong gb-too-large";
        told.setAttribute("role", "alert");
        told.textContent = "The file is larger than 900 KB. Send its rows in parts.";
        part.append(told);
      }, true);
    }
    return plainClick.call(this);
  };
  // Another version may have come into force since; the page itself stays as it is until a person loads it again.
  const look = async () => {
    const config = document.getElementById("jupyter-config-data");
    if (!config) return;
    const { baseUrl, kernelId } = JSON.parse(config.textContent);
    const xsrf = document.cookie.match(/(?:^|; )_xsrf=([^;]*)/);
    try {
      const headers = { "X-XSRFToken": xsrf ? xsrf[1] : "" };
      const answer = await fetch(`${baseUrl}api/kernels/${encodeURIComponent(kernelId)}`, { headers });
      if (answer.ok && (await answer.json()).is_current === false) show("newer", true);
    } catch { /* not reachable now: the line above says so */ }
  };
  setInterval(look, 5000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });

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
