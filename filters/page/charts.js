// Small charts. A table beside each has the same figures, so for screen readers each is one image.

const WIDTH = 440;

/** Columns, one a day. `points`: `[day, value]`, oldest first. */
function columns(label, points, format) {
  const [height, bottom, top] = [150, 18, 16];
  const most = Math.max(...points.map(([, value]) => value), 0);
  const step = WIDTH / Math.max(points.length, 7);
  const bars = points.map(([day, value], index) => {
    const tall = most > 0 ? (value / most) * (height - bottom - top) : 0;
    const shown = value > 0 ? Math.max(tall, 1.5) : 0;
    const place = { x: index * step + step * 0.1, y: height - bottom - shown, width: step * 0.8, height: shown, rx: Math.min(2, shown / 2) };
    return draw("rect", { class: "bar", ...place }, draw("title", {}, `${day}: ${format(value)}`));
  });
  const text = (x, y, anchor, content) => draw("text", { x, y, "text-anchor": anchor }, content);
  const end = Math.min(WIDTH, points.length * step);
  const first = points.length > 1 ? text(0, height - 4, "start", points[0][0].slice(5)) : null;
  const last = points.length > 0 ? text(Math.max(end, 30), height - 4, "end", points.at(-1)[0].slice(5)) : null;
  const line = draw("rect", { class: "track", x: 0, y: height - bottom, width: WIDTH, height: 1 });
  const told = `${label}: ${points.map(([day, value]) => `${day} ${format(value)}`).slice(-7).join(", ")}`;
  const peak = text(0, 11, "start", `most: ${format(most)}`);
  return draw("svg", { viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": told }, peak, line, ...bars, first, last);
}

/** Horizontal bars, the largest first; beyond eight, the others together. */
function bars(label, points, format) {
  const sorted = [...points].sort((one, other) => other[1] - one[1]);
  const shown = sorted.slice(0, 8);
  const others = sorted.slice(8);
  if (others.length > 0) shown.push([`${number(others.length)} others`, others.reduce((sum, [, value]) => sum + value, 0)]);
  const most = Math.max(...shown.map(([, value]) => value), 0);
  const row = 34;
  const lines = shown.flatMap(([name, value], index) => {
    const long = most > 0 ? (value / most) * WIDTH : 0;
    const cut = [...name].length > 36 ? `${[...name].slice(0, 35).join("")}…` : name;
    return [
      draw("text", { class: "name", x: 0, y: index * row + 13 }, cut, draw("title", {}, name)),
      draw("text", { x: WIDTH, y: index * row + 13, "text-anchor": "end" }, format(value)),
      draw("rect", { class: "track", x: 0, y: index * row + 19, width: WIDTH, height: 7, rx: 3 }),
      draw("rect", { class: "bar", x: 0, y: index * row + 19, width: long, height: 7, rx: 3 }),
    ];
  });
  const told = `${label}: ${shown.map(([name, value]) => `${name} ${format(value)}`).join(", ")}`;
  return draw("svg", { viewBox: `0 0 ${WIDTH} ${Math.max(shown.length, 1) * row}`, role: "img", "aria-label": told }, ...lines);
}

/** How much of something is used. */
function level(part) {
  const long = Math.max(0, Math.min(1, part)) * 100;
  const track = draw("rect", { class: "track", width: 100, height: 6 });
  const bar = draw("rect", { class: part >= 0.9 ? "bar over" : "bar", width: long, height: 6 });
  return draw("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" }, track, bar);
}
