// Turns the npm package `teapot` into a Wavefront OBJ: vertices at the same place become one (so that
// smooth normals can be computed), the base stands on y = 0 and the height is 1.
//   npm pack teapot@1.0.0 && tar xf teapot-1.0.0.tgz && node teapot-to-obj.mjs package/teapot.js > teapot.obj
import { createRequire } from "node:module";
import { resolve } from "node:path";

const { positions, cells } = createRequire(import.meta.url)(resolve(process.argv[2]));
const ys = positions.map((p) => p[1]);
const [low, high] = [Math.min(...ys), Math.max(...ys)];
const place = ([x, y, z]) => [x, y - low, z].map((c) => (c / (high - low)).toFixed(5));

const ids = new Map();
const lines = [];
const weld = positions.map((p) => {
  const key = place(p).join(" ");
  if (!ids.has(key)) {
    ids.set(key, ids.size + 1);
    lines.push(`v ${key}`);
  }
  return ids.get(key);
});
for (const cell of cells) {
  const [a, b, c] = cell.map((i) => weld[i]);
  if (a !== b && b !== c && a !== c) lines.push(`f ${a} ${b} ${c}`);
}
console.log("# The Utah teapot. (c) 1984 Martin Newell. Public Domain.");
console.log(lines.join("\n"));
