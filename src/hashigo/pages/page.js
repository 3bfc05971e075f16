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
  root.classList.add("scripted");
  root.lang = wanted();
  document.addEventListener("DOMContentLoaded", function () { show(wanted()); });
  addEventListener("hashchange", function () { show(wanted()); });
  document.addEventListener("click", function (event) {
    var language = event.target.dataset && event.target.dataset.language;
    if (!language) return;
    try { localStorage.setItem(key, language); } catch (error) { /* then it holds for this visit */ }
    if (known.test(location.hash.slice(1))) location.replace("#" + language);
    show(language);
  });
})();
