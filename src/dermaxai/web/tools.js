// Pictures of the tools that mark places in a photo.

const ICONS = {
  brush: "M4 17c4 1 6-1 6-4l8-9 2 2-9 8c-3 0-5 0-7 3z",
  box: "M4 6h16v12H4z",
  point: "M12 3v6m0 6v6M3 12h6m6 0h6",
  polygon: "M5 17l3-11 9-2 3 9-7 6z",
};

/** The picture of a tool; its name stands beside it. */
export const icon = (tool) => {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[tool]);
  svg.append(path);
  return svg;
};
