// Says so when the studio does not answer while a part of a page is asked for: otherwise a button would seem to do
// nothing. Every page works without this file.
"use strict";

function sayUnreachable() {
  const messages = document.getElementById("messages");
  // A page that asks again and again by itself says it once.
  if (document.getElementById("unreachable")) return;
  const notice = document.createElement("div");
  notice.id = "unreachable";
  notice.className = "notice notice-error";
  notice.setAttribute("role", "alert");
  notice.append(messages.dataset.unreachable);
  messages.replaceChildren(notice);
  messages.scrollIntoView({ block: "nearest" });
}

document.addEventListener("htmx:sendError", sayUnreachable);
document.addEventListener("htmx:timeout", sayUnreachable);
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) document.getElementById("unreachable")?.remove();
});
