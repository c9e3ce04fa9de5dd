// Calls every function of the official client that is not about sessions, against the server at argv[2] with the
// API key argv[3], and checks what its types promise. Prints one JSON object: function -> "ok" or what went wrong.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import assert from "node:assert/strict";

const [baseUrl, apiKey] = process.argv.slice(2);
const require = createRequire(`${process.cwd()}/`);
const api = await import(pathToFileURL(require.resolve("@3dverse/api")).href.replace(/index\.js$/, "index.mjs"));
api.setBaseURL(baseUrl);
api.setApiKey(apiKey);

const results = {};
/** Call a function of the client, check its answer, and remember how it went. */
async function call(name, args, check = () => {}, ...rest) {
  try {
    const response = await api[name](args, ...rest);
    assert.ok(response.status >= 200 && response.status < 300);
    await check(response.data, response);
    results[name] ??= "ok";
    return response.data;
  } catch (error) {
    results[name] = `${error.httpCode ?? ""} ${error.message}`.trim();
    return {};
  }
}
const text = (value) => assert.equal(typeof value, "string");
const number = (value) => assert.equal(typeof value, "number");
const list = (value) => assert.ok(Array.isArray(value));
const bytes = (value) => assert.ok(value.byteLength > 0);

const OBJ = "mtllib t.mtl\nv 0 0 0\nv 2 0 0\nv 0 1 0\nusemtl red\nf 1 2 3\n";
const MTL = "newmtl red\nKd 1 0 0\n";
const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
  "base64",
);

// Users and groups.
const { user_id } = await call("registerUser", { username: "ada" }, (u) => {
  text(u.user_id);
  assert.equal(u.username, "ada");
  text(u.registered_at);
});
const { user_id: other } = await call("registerUser", { username: "ben" });
await call("listUsers", {}, (users) => assert.deepEqual(users.map((u) => u.username), ["ada", "ben"]));
await call("updateUser", { user_id, username: "ada l." });
await call("getUser", { user_id }, (u) => assert.equal(u.username, "ada l."));
const { user_token } = await call("generateUserToken", { user_id, scope: "manage" }, (t) => {
  text(t.user_token);
  assert.equal(t.expires_in, 3600);
  assert.ok(Math.abs(t.expires_on - Date.now() / 1000 - 3600) < 60);
});
const member = { user_id, group_access: "manage", folder_access: "write" };
const { group_id } = await call("createGroup", { name: "makers", description: "d", members: [member] }, (g) => {
  text(g.group_id);
  text(g.created_at);
  assert.equal(g.members[0].user_id, user_id);
});
await call("updateGroupDescription", { group_id, name: "makers", description: "all of them" });
const membership = { group_id, member_type: "users", member_id: other };
await call("grantMemberAccessToGroup", { ...membership, group_access: "read", folder_access: "read" });
await call("getGroup", { group_id }, (g) => {
  assert.equal(g.description, "all of them");
  assert.equal(g.members.length, 2);
});
await call("getUserGroups", { user_id }, (groups) => assert.equal(groups[0].group_id, group_id));
await call("revokeMemberAccessToGroup", membership);

// Folders.
const { folder_id } = await call("createFolder", { name: "Cars", subfolders: [{ name: "In" }] }, (f) => {
  text(f.folder_id);
  assert.equal(f.subfolders[0].name, "In");
  assert.equal(f.subfolders[0].parent_folder_id, f.folder_id);
});
const { folder_id: sub } = await call("createSubfolder", { folder_id, name: "Out" }, (f) => text(f.folder_id));
const { folder_id: loose } = await call("createFolder", { name: "loose" });
await call("moveFolders", { folder_id, folder_ids: [loose] });
await call("listFolderSubFolders", { folder_id }, (f) =>
  assert.deepEqual(f.map((x) => x.name), ["In", "Out", "loose"]),
);
await call("updateFolder", { folder_id: loose, name: "tight" });
await call("getFolderInfo", { folder_id: loose }, (f) => assert.equal(f.name, "tight"));
await call("listFolders", { limit: 100 }, (f) => assert.equal(f.length, 4));
const access = { folder_id, member_type: "groups", member_id: group_id };
await call("grantMemberAccessToFolder", { ...access, access: "write" });
await call("listFolderAccesses", { folder_id }, (a) =>
  assert.deepEqual(a.groups, [{ group_id, name: "makers", access: "write" }]),
);

// Uploads, by the user under the group's grant.
api.setUserToken(user_token);
const body = new FormData();
body.append("files", new Blob([OBJ]), "t.obj");
body.append("files", new Blob([MTL]), "t.mtl");
const { upload_task_id } = await call("uploadSourceFiles", { folder_id, body }, (u) => text(u.upload_task_id));
const picture = new FormData();
picture.append("file", new Blob([PNG]), "dot.png");
const { upload_task_id: second } = await call("uploadSourceFiles", { folder_id, body: picture });
api.setApiKey(apiKey);
async function finished(id) {
  for (;;) {
    const task = await call("getUploadTask", { upload_task_id: id }, (t) => {
      text(t.uploaded_at);
      text(t.uploaded_by.username);
      number(t.progress);
    });
    if (!["waiting", "pending", "converting"].includes(task.status)) return task;
    await new Promise((wake) => setTimeout(wake, 50));
  }
}
const task = await finished(upload_task_id);
await finished(second);
const conversion = task.conversion_tasks[0];
await call("getUploadTasks", {}, (tasks) => assert.equal(tasks.length, 2));
await call("getUploadTasksInFolder", { folder_id }, (tasks) => {
  assert.equal(tasks[0].status, "success");
  assert.equal(tasks[0].conversion_tasks[0].source_file_name, "t.obj");
  assert.equal(tasks[0].conversion_tasks[0].conversion_pipeline, "scene");
});
await call("getUserUploadTasks", { user_id }, (tasks) => assert.equal(tasks.length, 2));
await call("getConversionTaskMetadata", { ...conversion, filename: "log.txt" });

// Source files.
const filters = { source_file_name: "t.obj" };
const { source_file_id } = conversion;
await call("getSourceFilesInFolder", { folder_id, filters }, (files, response) => {
  assert.equal(files[0].source_file_original_name, "t.obj");
  assert.equal(files[0].size, OBJ.length);
  assert.equal(response.headers["x-source-files-count"], 1);
});
await call("listSourceFiles", {}, (files, response) => assert.equal(response.headers["x-source-files-count"], 3));
await call("downloadSourceFile", { source_file_id }, (data) => assert.equal(Buffer.from(data).toString(), OBJ));
await call("updateSourceFileDetails", { source_file_id, name: "triangle" });
await call("getSourceFileDetails", { source_file_id }, (f) => assert.equal(f.name, "triangle"));
await call("moveSourceFiles", { folder_id: sub, source_file_ids: [source_file_id] });
const made = await call("getSourceFileAssets", { source_file_id }, (assets) => {
  for (const kind of ["scenes", "meshes", "materials"]) text(assets[kind][0].asset_id);
});

// Assets.
const scene_id = made.scenes[0].asset_id;
const mesh = { asset_container: "meshes", asset_id: made.meshes[0].asset_id };
const scene = { asset_container: "scenes", asset_id: scene_id };
assert.equal(scene_id, conversion.asset_id);
const filter = { asset_type: ["mesh", "texture"] };
const { textures } = await call("getFolderAssets", { folder_id, filter, recursive: true }, (assets, response) => {
  assert.equal(assets.textures.length, 1);
  assert.deepEqual(response.headers["x-assets-count"], { total: 2, mesh: 1, texture: 1 });
});
await call("listAssets", { filter: { asset_type: "mesh", include_public_assets: false } }, (assets) =>
  assert.equal(assets.meshes.length, 1),
);
await call("getAssetDetails", mesh, (d) => {
  assert.equal(d.type, "mesh");
  assert.equal(d.created_by.user_id, user_id);
  number(d.contributors[0].contribution_count);
});
await call("getAssetSourceFile", mesh, (f) => assert.equal(f.source_file_id, source_file_id));
await call("getAssetFolder", mesh, (f) => assert.equal(f.folder_id, folder_id));
const properties = ["name", "count", "public", "accessible", "payload_info", "dependencies"];
const needed = { ...scene, properties, filters: { with_asset_types: ["mesh"] } };
await call("getAssetDependencies", needed, (found) => {
  assert.equal(found[0].asset_id, mesh.asset_id);
  assert.equal(found[0].properties.direct_count, 1);
  text(found[0].properties.payload_info.hash);
});
await call("getAssetReferences", { ...mesh, properties: ["name", "count"] }, (found) => {
  assert.equal(found[0].asset_id, scene_id);
  assert.equal(found[0].properties.direct_count, 1);
});
await call("getAssetDescription", mesh, (d) => {
  assert.equal(d.uuid, mesh.asset_id);
  assert.equal(d.submeshes[0].vertexCount, 3);
});
await call("renameAsset", { ...mesh, name: "flat" });
await call("getAssetPayload", { asset_container_with_payload: "meshes", asset_id: mesh.asset_id }, bytes);
await call("getAssetHistory", mesh, (h) => list(h.edits));
await call("getAssetMeta", mesh, (m) => assert.equal(m.type, "mesh"));
await call("getAssetThumbnail", { ...mesh, size: "small" }, bytes);
await call("setAssetThumbnail", { ...mesh, body: PNG }, () => {}, "image/png");
const exported = { asset_container_exportable: "meshes", asset_id: mesh.asset_id };
await call("exportAsset", { ...exported, format: "stl", scale: 2 }, (data) => assert.equal(data.byteLength, 134));
await call("exportAsset", { ...exported, format: "obj", sub_mesh_index: 0 }, bytes);
await call("moveAssets", { folder_id: sub, asset_ids: [mesh.asset_id] });
const script = await call(
  "createAsset",
  { folder_id, asset_creation_options: { asset_type: "script", name: "turn" } },
  (a) => assert.equal(a.name, "turn"),
);
const options = { asset_types: ["mesh"] };
const duplication = { asset_type: "scene", copy_from_asset_id: scene_id, new_asset_name: "twin", options };
const twin = await call("createAsset", { folder_id, asset_creation_options: duplication }, (a) => {
  assert.equal(a.name, "twin");
  text(a.source_to_copy_asset_id_map[mesh.asset_id]);
});
await call("getAssetCode", { asset_container_with_code: "scripts", asset_id: script.asset_id }, text);
const modules = { folder_id, asset_creation_options: { asset_type: "module", name: "m" } };
const module = await call("createAsset", modules);
await call("getAssetCustomTypes", { asset_container_with_custom_types: "modules", asset_id: module.asset_id });
const shader = { dataJson: { albedo: [1, 1, 1] }, isDoubleSided: true, shaderRef: module.asset_id };
const material = { folder_id, name: "chalk", ...shader, shaderRef: "744556b0-67b5-4329-ba4f-a04c04f92b1c" };
await call("createMaterial", material, (a) => text(a.asset_id));
const faces = Array(6).fill(textures[0].asset_id);
const sky = await call("createCubemap", { folder_id, name: "sky", faces }, (a) => text(a.asset_id));

// Scenes.
const entity = { debug_name: { value: "lamp" }, local_transform: { position: [1, 2, 3] } };
const { entity_id } = await call("createEntity", { scene_id, entity_components: entity }, (e) => text(e.entity_id));
await call("updateEntity", { scene_id, entity_id, entity_components: { point_light: { intensity: 2 } } });
await call("getEntity", { scene_id, entity_id, compute_global_transform: true }, (e) => {
  assert.equal(e.euid.value, entity_id);
  assert.equal(e.point_light.intensity, 2);
  assert.deepEqual(e.global_transform.position, [1, 2, 3]);
});
await call("deleteEntity", { scene_id, entity_id });
await call("getSceneAABB", { scene_id }, (box) => assert.deepEqual(box, { max: [2, 1, 0], min: [0, 0, 0] }));
await call("getSceneSettings", { scene_id });
await call("getSceneSessions", { scene_id }, list);

// Packages and the end.
const archive = await call("packageAsset", scene, bytes);
await call("importAssets", { folder_id, overwrite: "always", body: archive }, (r) => {
  assert.ok(r.asset_ids.overwritten.includes(scene_id));
  assert.deepEqual(r.asset_ids.skipped, []);
});
await call("deleteAsset", { asset_container: "scripts", asset_id: script.asset_id });
await call("deleteAssets", { asset_ids: [module.asset_id, twin.asset_id, sky.asset_id] });
await call("deleteSourceFiles", { source_file_ids: [source_file_id], delete_assets: false });
await call("revokeMemberAccessToFolder", access);
await call("deleteGroup", { group_id });
await call("deleteFolder", { folder_id: loose });
await call("deleteUser", { user_id }, (d) => assert.ok(d.deleted_assets.scenes.length >= 1));
console.log(JSON.stringify(results));
