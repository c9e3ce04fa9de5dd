// The first steps of an application, on its server and in a browser: what the vendor's TypeScript sample sends.
// Arguments: base URL and API key. Prints the answers as JSON.
import * as api from "@3dverse/api";

const [baseUrl, apiKey] = process.argv.slice(2);
api.setBaseURL(baseUrl);

// On the server, with the API key.
api.setApiKey(apiKey);
const { data: user } = await api.registerUser({ username: "sample-user" });
const { data: token } = await api.generateUserToken({ user_id: user.user_id, scope: "manage", ttl: "24h" });
const { data: folder } = await api.createFolder({ name: "sample-folder" });
const granted = await api.grantMemberAccessToFolder({
  folder_id: folder.folder_id,
  member_type: "users",
  member_id: user.user_id,
  access: "manage",
});

// In the browser, with the user's token.
api.setUserToken(token.user_token);
const body = new FormData();
body.append("file", new Blob(["v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"]), "triangle.obj");
const { data: upload } = await api.uploadSourceFiles({ folder_id: folder.folder_id, body });
const { data: tasks } = await api.getUserUploadTasks({ user_id: user.user_id });

console.log(JSON.stringify({ user, token, folder, granted: granted.status, upload, tasks }));
