// The launcher on a shop's own pages: <script src="https://HOST/chat/ACCOUNT/widget.js" async></script>
// data-position="left", data-color="#0b7a4b" and data-label="在线客服" change where it is, its colour and its name.
(() => {
  "use strict";

  const script = document.currentScript;
  const base = new URL(".", script.src);
  const mark = Symbol.for(`yingda-chat ${base.href}`);
  if (window[mark]) return;
  window[mark] = true;

  const chinese = /^(zh|yue)\b/i.test(navigator.language);
  const label = script.dataset.label || (!chinese ? "Chat with us" : /Hant|TW|HK|MO|yue/i.test(navigator.language) ? "線上客服" : "在线客服");
  const isLeft = script.dataset.position === "left";

  const STYLE = `
    .place { --side: max(20px, env(safe-area-inset-right)); --color: #1660e8; --ink: #fff; font: 16px/1.5 system-ui, sans-serif; }
    .launcher {
      position: fixed; z-index: 2147483000; bottom: max(20px, env(safe-area-inset-bottom)); right: var(--side);
      display: grid; place-items: center; width: 56px; height: 56px; padding: 0; border: 0; border-radius: 50%;
      background: var(--color); color: var(--ink); cursor: pointer; box-shadow: 0 4px 16px rgb(0 0 0 / 28%);
      touch-action: manipulation; transition: transform .15s;
    }
    .launcher:hover { transform: scale(1.05); }
    .launcher:focus-visible { outline: 3px solid var(--color); outline-offset: 3px; }
    .launcher svg { width: 28px; height: 28px; fill: none; stroke: currentcolor; stroke-width: 1.8; stroke-linecap: round; stroke-linejoin: round; }
    .launcher .down, .open .launcher .talk { display: none; }
    .open .launcher .down { display: block; }
    .dot { position: absolute; top: 0; right: 0; width: 16px; height: 16px; border: 2px solid #fff; border-radius: 50%; background: #d92d20; }
    .panel {
      position: fixed; z-index: 2147483000; bottom: calc(max(20px, env(safe-area-inset-bottom)) + 72px); right: var(--side);
      width: 384px; max-width: calc(100vw - 40px); height: 640px; max-height: calc(100vh - 112px); max-height: calc(100dvh - 112px);
      overflow: hidden; border-radius: 16px; background: Canvas; box-shadow: 0 8px 40px rgb(0 0 0 / 30%);
    }
    .left .launcher, .left .panel { right: auto; left: max(20px, env(safe-area-inset-left)); }
    [hidden] { display: none !important; }
    iframe { display: block; width: 100%; height: 100%; border: 0; color-scheme: light dark; }
    @media (max-width: 480px), (max-height: 420px) {
      .panel { inset: 0; width: auto; max-width: none; height: auto; max-height: none; border-radius: 0; }
      .left .panel { left: 0; right: 0; }
      .open .launcher { display: none; }
    }
    @media (prefers-reduced-motion: reduce) { .launcher { transition: none; } .launcher:hover { transform: none; } }
    @media print { .place { display: none; } }
  `;

  const MARKUP = `
    <div class="place">
      <div class="panel" hidden></div>
      <button class="launcher" type="button" aria-expanded="false">
        <svg class="talk" viewBox="0 0 24 24" aria-hidden="true"><path d="M12 4c5 0 9 3.2 9 7.3s-4 7.3-9 7.3c-1 0-2-.1-2.9-.4L5 20.5l.9-3.4C4.1 15.7 3 13.6 3 11.3 3 7.2 7 4 12 4ZM8 11.3h.01M12 11.3h.01M16 11.3h.01"/></svg>
        <svg class="down" viewBox="0 0 24 24" aria-hidden="true"><path d="m6 9.5 6 6 6-6"/></svg>
        <span class="dot" hidden></span>
      </button>
    </div>
  `;

  // An element of its own name, so that no rule of the page for its elements meets it.
  const host = document.createElement("yingda-chat");
  host.style.setProperty("all", "initial", "important");
  const shadow = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(STYLE);
  shadow.adoptedStyleSheets = [sheet];
  shadow.append(new DOMParser().parseFromString(MARKUP, "text/html").querySelector(".place"));
  const [place, panel, launcher, dot] = ["place", "panel", "launcher", "dot"].map((name) => shadow.querySelector(`.${name}`));
  let frame = null;

  place.classList.toggle("left", isLeft);
  const { color } = script.dataset;
  if (color && CSS.supports("color", color)) {
    place.style.setProperty("--color", color);
    launcherInk();
  }

  // White or black, whichever is seen better on the colour (WCAG 2.2, relative luminance: equal at 0.179).
  function launcherInk() {
    const context = document.createElement("canvas").getContext("2d");
    context.fillStyle = color;
    context.fillRect(0, 0, 1, 1);
    const [red, green, blue] = [...context.getImageData(0, 0, 1, 1).data].map((part) => (part / 255) ** 2.2);
    place.style.setProperty("--ink", 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000" : "#fff");
  }

  function name() {
    const unread = chinese ? "，有新消息" : ", new messages";
    launcher.setAttribute("aria-label", label + (dot.hidden ? "" : unread));
  }

  function open() {
    if (!frame) {
      frame = document.createElement("iframe");
      frame.title = label;
      frame.src = `${base.href.replace(/\/$/, "")}?embed=1`;
      frame.addEventListener("load", greet);
      panel.append(frame);
    }
    panel.hidden = false;
    dot.hidden = true;
    place.classList.add("open");
    launcher.setAttribute("aria-expanded", "true");
    name();
    greet();
  }

  // The field gets the focus, except where that would bring up a keyboard nobody asked for.
  function greet() {
    if (panel.hidden) return;
    frame.focus();
    if (matchMedia("(hover: hover)").matches) frame.contentWindow.postMessage({ yingda: "opened" }, base.origin);
  }

  function close() {
    if (panel.hidden) return;
    panel.hidden = true;
    place.classList.remove("open");
    launcher.setAttribute("aria-expanded", "false");
    launcher.focus();
  }

  launcher.addEventListener("click", () => (panel.hidden ? open() : close()));
  document.addEventListener("keydown", (key) => key.key === "Escape" && close());
  window.addEventListener("message", (said) => {
    if (!frame || said.origin !== base.origin || said.source !== frame.contentWindow) return;
    if (said.data?.yingda === "close") close();
    if (said.data?.yingda === "message" && panel.hidden) {
      dot.hidden = false;
      name();
    }
  });

  name();
  if (document.body) document.body.append(host);
  else document.addEventListener("DOMContentLoaded", () => document.body.append(host));
})();
