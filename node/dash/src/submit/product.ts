/** What a set of files is meant to be. Pure. */
import type { Product } from "../api.ts";

const SCENES = [".gltf", ".glb", ".obj"];

/** Endings that a file dialog offers: scenes and what they refer to, shaders and their inputs, matrices. */
export const ACCEPT = [...SCENES, ".toml", ".wgsl", ".npy", ".bin", ".mtl", ".png", ".jpg"];

/** What is missing or too much, as a word of the catalogue. */
export type Lack = "nothing" | "shader" | "secondMatrix" | "oneScene" | "unknown";

export type Sorted = { product: Product; lack: null } | { product: null; lack: Lack };

function count(names: readonly string[], endings: readonly string[]): number {
  return names.filter((name) => endings.some((ending) => name.toLowerCase().endsWith(ending))).length;
}

const is = (product: Product): Sorted => ({ product, lack: null });
const lacks = (lack: Lack): Sorted => ({ product: null, lack });

export function sortOut(names: readonly string[]): Sorted {
  if (names.length === 0) return lacks("nothing");
  if (count(names, [".wgsl"]) > 0) return is("wgsl");
  if (names.some((name) => name.toLowerCase() === "job.toml")) return lacks("shader");
  // A scene of TOML stands alone; beside a model it would be a second scene.
  const scenes = count(names, [...SCENES, ".toml"]);
  if (scenes > 1) return lacks("oneScene");
  if (scenes === 1) return is("render");
  const matrices = count(names, [".npy"]);
  if (matrices === 2) return is("matmul");
  return lacks(matrices === 1 ? "secondMatrix" : "unknown");
}
