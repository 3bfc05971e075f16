// Photos and settings in the browser's own database, so that a reload loses nothing. Files and settings lie apart: settings change often.

/** localStorage or sessionStorage, or nothing where the browser blocks them. */
function boxOf(name) {
  try {
    return window[name];
  } catch {
    return { getItem: () => null, setItem() {}, removeItem() {} };
  }
}

export const local = boxOf("localStorage"), ofTab = boxOf("sessionStorage");

let database;

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Opens the database and returns all photos: [{id, name, path, file, vivid, hints, …}]. Throws where the browser has no database. */
export async function open() {
  const request = indexedDB.open("hashigo", 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("files");
    request.result.createObjectStore("photos", { keyPath: "id" });
  };
  database = await asked(request);
  const transaction = database.transaction(["files", "photos"]);
  const [files, ids, photos] = await Promise.all([
    asked(transaction.objectStore("files").getAll()), asked(transaction.objectStore("files").getAllKeys()),
    asked(transaction.objectStore("photos").getAll()),
  ]);
  const fileOf = new Map(ids.map((id, index) => [id, files[index]]));
  return photos.filter((photo) => fileOf.has(photo.id)).map((photo) => ({ ...photo, file: fileOf.get(photo.id) }));
}

async function change(names, action) {
  if (!database) return;
  const transaction = database.transaction(names, "readwrite");
  const done = new Promise((resolve, reject) => {
    transaction.oncomplete = resolve;
    transaction.onabort = () => reject(transaction.error);
  });
  action(...names.map((name) => transaction.objectStore(name)));
  await done;
}

/** Adds a photo's file and its settings. Throws QuotaExceededError when the browser has no space. */
export const addPhoto = (settings, file) => change(["photos", "files"], (photos, files) => {
  photos.put(settings);
  files.put(file, settings.id);
});

/** Replaces a photo's settings, unless another tab has removed it. */
export const saveSettings = (settings) => change(["photos"], (photos) => {
  photos.getKey(settings.id).onsuccess = ({ target }) => { if (target.result !== undefined) photos.put(settings); };
});

/** Removes a photo. */
export const removePhoto = (id) => change(["photos", "files"], (photos, files) => {
  photos.delete(id);
  files.delete(id);
});

/** Removes everything. */
export const clear = () => change(["photos", "files"], (photos, files) => {
  photos.clear();
  files.clear();
});
