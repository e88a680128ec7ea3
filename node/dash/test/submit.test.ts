import assert from "node:assert/strict";
import { test } from "node:test";
import { excerpt } from "../src/submit/caret.ts";
import { sortOut } from "../src/submit/product.ts";

test("files tell what they are meant to be", () => {
  assert.equal(sortOut(["Scene.GLTF", "scene.bin", "wood.png"]).product, "render");
  assert.equal(sortOut(["scene.toml"]).product, "render");
  assert.equal(sortOut(["blur.wgsl", "job.toml", "in.npy"]).product, "wgsl");
  assert.equal(sortOut(["a.npy", "b.npy"]).product, "matmul");
});

test("what is missing is said", () => {
  assert.equal(sortOut([]).lack, "nothing");
  assert.equal(sortOut(["job.toml"]).lack, "shader");
  assert.equal(sortOut(["a.npy"]).lack, "secondMatrix");
  assert.equal(sortOut(["a.glb", "b.glb"]).lack, "oneScene");
  assert.equal(sortOut(["notes.txt"]).lack, "unknown");
  assert.equal(sortOut(["a.npy", "b.npy", "c.npy"]).lack, "unknown");
});

test("the caret stands below its column, behind tabs as well", () => {
  assert.deepEqual(excerpt("a\n\tlet x;\n", 2, 6), { line: 2, text: "\tlet x;", caret: "\t    ^" });
  assert.deepEqual(excerpt("one", 1, 0), { line: 1, text: "one", caret: "^" });
  assert.equal(excerpt("one", 9, 1), null);
});
