import assert from "node:assert/strict";
import { test } from "node:test";
import { codeIn, link, PAGES, parse } from "../src/router.ts";

test("every page's link leads to it", () => {
  for (const page of PAGES) assert.deepEqual(parse(link(page)), { page, id: null });
});

test("an id goes through a link unharmed", () => {
  assert.deepEqual(parse(link("jobs", "3fa9/ä?#")), { page: "jobs", id: "3fa9/ä?#" });
});

test("what names no page leads home", () => {
  for (const fragment of ["", "#", "#/", "#/nowhere", "#jobs", "#/constructor"]) {
    assert.equal(parse(fragment).page, "home", fragment);
  }
});

test("a broken escape is no id", () => {
  assert.deepEqual(parse("#/jobs/%E0%A4%A"), { page: "jobs", id: null });
});

test("the code is found in its own fragment only", () => {
  assert.equal(codeIn("#code=XYZ"), "XYZ");
  assert.equal(codeIn("#code="), null);
  assert.equal(codeIn("#/jobs/code=XYZ"), null);
  assert.equal(codeIn(""), null);
});
