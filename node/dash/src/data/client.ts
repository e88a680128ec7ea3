/**
 * Requests to the daemon. Every failure becomes a `Failure` with code, what and fix; nothing else speaks to the API but
 * `feed.ts`, which listens to it.
 */
import type { Problem, Reason } from "../api.ts";
import { answered, unanswered } from "./link.ts";

export const API = "/api/v1";

/** The fix of an address that is none of the API's. */
const NO_RESOURCE = `see ${API}/openapi.json`;

/** What a request ended in instead of an answer. */
export class Failure extends Error {
  readonly reason: Reason;
  readonly status: number;

  constructor(reason: Reason, status: number) {
    super(reason.what);
    this.reason = reason;
    this.status = status;
  }

  /**
   * This daemon has no such resource: it is older than the page, or built without it. A job or a peer that it does not
   * know has the same code, but another fix.
   */
  get notOffered(): boolean {
    return this.status === 405 || (this.status === 404 && this.reason.fix === NO_RESOURCE);
  }

  /** Nobody answered; the banner says so already. */
  get silent(): boolean {
    return this.status === 0;
  }
}

function unreachable(): Failure {
  const what = "the peer does not answer";
  return new Failure({ code: "no_daemon", what, fix: "start it with `starling up`", params: {} }, 0);
}

function isProblem(value: unknown): value is Problem {
  return typeof value === "object" && value !== null && "code" in value && "fix" in value;
}

/** Turns an answer that is no success into a failure. */
export function failureOf(status: number, body: string): Failure {
  try {
    const parsed: unknown = JSON.parse(body);
    if (isProblem(parsed)) {
      const { code, detail, what, fix, params } = parsed;
      return new Failure({ code, what: what || detail, fix, params: params ?? {} }, status);
    }
  } catch {
    // Not the API's own words: what follows says what is known.
  }
  return new Failure({ code: "error", what: `the peer answered with status ${status}`, fix: "", params: {} }, status);
}

/** What came of a status and a body, for every way of asking. */
export function settle(status: number, body: string): void {
  answered(status);
  if (status >= 400) throw failureOf(status, body);
}

async function send(method: string, path: string, body?: BodyInit, kind?: string): Promise<Response> {
  const init: RequestInit = { method, credentials: "same-origin" };
  if (body !== undefined) init.body = body;
  if (kind !== undefined) init.headers = { "content-type": kind };
  let answer: Response;
  try {
    answer = await fetch(API + path, init);
  } catch {
    unanswered();
    throw unreachable();
  }
  settle(answer.status, answer.ok ? "" : await answer.text());
  return answer;
}

export async function get<T>(path: string): Promise<T> {
  const answer = await send("GET", path);
  return (await answer.json()) as T;
}

export async function getBlob(path: string): Promise<Blob> {
  return (await send("GET", path)).blob();
}

/** Sends a value; the answer is `undefined` where there is none (204). */
export async function put<T>(method: "POST" | "PUT", path: string, value?: unknown): Promise<T> {
  const body = value === undefined ? undefined : JSON.stringify(value);
  const answer = await send(method, path, body, body === undefined ? undefined : "application/json");
  const text = await answer.text();
  return (text === "" ? undefined : JSON.parse(text)) as T;
}

export async function postBytes<T>(path: string, bytes: Blob): Promise<T> {
  const answer = await send("POST", path, bytes, "application/octet-stream");
  return (await answer.json()) as T;
}

/** Puts a file into the peer's store. XMLHttpRequest, because fetch does not tell how far an upload is. */
export function upload(file: Blob, onProgress: (part: number) => void): Promise<{ id: string; len: number }> {
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `${API}/blobs`);
    request.setRequestHeader("content-type", "application/octet-stream");
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 1);
    request.onerror = () => {
      unanswered();
      fail(unreachable());
    };
    request.onload = () => {
      try {
        settle(request.status, request.responseText);
        done(JSON.parse(request.responseText) as { id: string; len: number });
      } catch (failure) {
        fail(failure);
      }
    };
    request.send(file);
  });
}

/** Whatever was thrown, as a failure to show. */
export function asFailure(thrown: unknown): Failure {
  if (thrown instanceof Failure) return thrown;
  return new Failure({ code: "error", what: String(thrown), fix: "", params: {} }, -1);
}
