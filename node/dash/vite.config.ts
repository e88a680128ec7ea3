import { defineConfig } from "vite";

// For work on the pages: a running peer's address and token, which the server adds to what it passes on.
const peer = process.env["STARLING_API"];
const token = process.env["STARLING_TOKEN"];

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    // The first that know light-dark(), by which both themes stand in one table.
    cssTarget: ["chrome123", "firefox128", "safari17.5"],
    // One style sheet: the pages are small, and a second request would only delay the first paint.
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    // Names without hashes: the binary embeds the files by name, and serves them with an ETag.
    rolldownOptions: {
      output: {
        entryFileNames: "dash.js",
        chunkFileNames: "[name].js",
        assetFileNames: "dash[extname]",
      },
    },
  },
  server: {
    proxy: peer
      ? {
          "/api": {
            target: peer,
            // Host and origin must be the peer's own: it refuses pages of others.
            changeOrigin: true,
            headers: { authorization: `Bearer ${token}`, origin: peer },
            configure: (proxy) => proxy.on("proxyReq", (request) => request.removeHeader("sec-fetch-site")),
          },
        }
      : {},
  },
});
