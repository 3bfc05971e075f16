(function () {
  var root = document.documentElement, key = "hashigo-language", known = /^(en|ja)$/;
  function wanted() {
    var hash = location.hash.slice(1), stored = null;
    try { stored = localStorage.getItem(key); } catch (error) { /* no storage here: the browser's language decides */ }
    if (known.test(hash)) return hash;
    return known.test(stored) ? stored : /^ja/i.test(navigator.language || "") ? "ja" : "en";
  }
  function show(language) {
    root.lang = language;
    document.querySelectorAll("title[data-ja]").forEach(function (title) { title.textContent = title.dataset[language]; });
    document.querySelectorAll("img[data-ja]").forEach(function (img) { img.alt = img.dataset[language]; });
    document.querySelectorAll("[data-language]").forEach(function (button) {
      button.setAttribute("aria-pressed", String(button.dataset.language === language));
    });
  }
  /* A tap, Enter or the space bar enlarges a picture; arrows go to its neighbours; Esc or another tap closes it. */
  function enlarging() {
    var pictures = Array.prototype.slice.call(document.querySelectorAll("main img")), at = 0, view = null;
    function put(place) {
      at = (place + pictures.length) % pictures.length;
      view.firstChild.src = pictures[at].src;
      view.firstChild.alt = view.lastChild.textContent = pictures[at].alt;
      view.firstChild.className = pictures[at].className;
    }
    function open(place) {
      if (!view) {
        view = document.createElement("dialog");
        view.className = "enlarged";
        view.append(document.createElement("img"), document.createElement("p"));
        view.addEventListener("click", function () { view.close(); });
        view.addEventListener("keydown", function (event) {
          if (event.key === "ArrowRight") put(at + 1);
          if (event.key === "ArrowLeft") put(at - 1);
        });
        view.addEventListener("close", function () { pictures[at].focus(); });
        document.body.append(view);
      }
      put(place);
      view.showModal();
    }
    pictures.forEach(function (picture, place) {
      picture.tabIndex = 0;
      picture.setAttribute("role", "button");
      picture.addEventListener("click", function () { open(place); });
      picture.addEventListener("keydown", function (event) {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        open(place);
      });
    });
  }
  root.classList.add("scripted");
  root.lang = wanted();
  document.addEventListener("DOMContentLoaded", function () { show(wanted()); enlarging(); });
  addEventListener("hashchange", function () { show(wanted()); });
  document.addEventListener("click", function (event) {
    var language = event.target.dataset && event.target.dataset.language;
    if (!language) return;
    try { localStorage.setItem(key, language); } catch (error) { /* then it holds for this visit */ }
    if (known.test(location.hash.slice(1))) location.replace("#" + language);
    show(language);
  });
})();
