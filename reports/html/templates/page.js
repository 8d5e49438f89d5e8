"use strict";
(() => {
  const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });
  tip.setAttribute("role", "status");
  document.body.append(tip);
  const known = new WeakMap();
  const tipsOf = (svg) => known.get(svg) ?? known.set(svg, JSON.parse(svg.dataset.tips)).get(svg);

  const hide = () => {
    tip.hidden = true;
    document.querySelectorAll(".here").forEach((mark) => mark.setAttribute("hidden", ""));
  };
  const show = (svg, [x, y, text, image], number) => {
    hide();
    const mark = svg.querySelector(".here");
    mark.setAttribute("cx", x);
    mark.setAttribute("cy", y);
    mark.removeAttribute("hidden");
    svg.dataset.at = number;
    tip.replaceChildren();
    if (image !== undefined) {
      const thumb = Object.assign(document.createElement("span"), { className: "thumb" });
      const columns = getComputedStyle(document.documentElement).getPropertyValue("--columns");
      thumb.style.backgroundPosition = `${-112 * (image % columns)}px ${-112 * Math.floor(image / columns)}px`;
      tip.append(thumb);
    }
    tip.append(text);
    tip.hidden = false;
    const at = new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
    const { width, height } = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(at.x - width / 2, innerWidth - width - 8));
    const top = at.y - height - 14 > 8 ? at.y - height - 14 : at.y + 14;
    tip.style.transform = `translate(${left}px, ${top}px)`;
  };
  const nearest = (svg, event) => {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const far = svg.parentElement.classList.contains("map") ? [1, 1] : [9, 1]; // a chart goes by x
    let best = -1, least = Infinity;
    tipsOf(svg).forEach(([x, y], i) => {
      const distance = far[0] * (x - at.x) ** 2 + far[1] * (y - at.y) ** 2;
      if (distance < least) [best, least] = [i, distance];
    });
    return best;
  };
  const point = (event) => {
    const svg = event.target.closest?.("svg[data-tips]");
    const i = svg ? nearest(svg, event) : -1;
    if (i < 0) hide(); else show(svg, tipsOf(svg)[i], i);
  };
  document.addEventListener("pointermove", point);
  document.addEventListener("pointerdown", point);
  document.addEventListener("scroll", hide, { passive: true });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => {
    const svg = event.target.closest?.("svg[data-tips]");
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!svg || !step) return;
    event.preventDefault();
    const tips = tipsOf(svg);
    const i = (Number(svg.dataset.at ?? -1) + step + tips.length) % tips.length;
    show(svg, tips[i], i);
  });

  document.addEventListener("pointerover", (event) => {
    const item = event.target.closest?.("li[data-class]");
    document.querySelectorAll(".map").forEach((map) => {
      map.classList.toggle("faded", item !== null && item !== undefined);
      map.querySelectorAll(".cloud").forEach((cloud) =>
        cloud.classList.toggle("shown", cloud.dataset.class === item?.dataset.class));
    });
  });

  if (!("live" in document.body.dataset)) return;
  let version = null;
  setInterval(async () => {
    try {
      const now = await (await fetch("version")).text();
      if (version !== null && now !== version) {
        const page = await (await fetch("./")).text();
        const fresh = new DOMParser().parseFromString(page, "text/html");
        document.querySelector("main").replaceWith(fresh.querySelector("main"));
        document.title = fresh.title;
        hide();
      }
      version = now;
    } catch {
      document.title = "Not reachable";
    }
  }, 2000);
})();
