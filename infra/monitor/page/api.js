// Asks the monitor. What it refuses is an error with what, where and the remedy.

export class Refused extends Error {
  constructor(status, problem) {
    super([problem.what, problem.where && `(${problem.where})`].filter(Boolean).join(" "));
    this.status = status;
    this.remedy = problem.remedy;
  }
}

async function answered(response) {
  if (response.ok) return response.json();
  const problem = await response.json().catch(() => ({ what: `status ${response.status}` }));
  throw new Refused(response.status, problem);
}

/** GET a path as JSON. */
export const ask = async (path) => answered(await fetch(path, { headers: { Accept: "application/json" } }));

/** POST JSON to a path; a token is sent along if there is one. */
export async function send(path, body, token) {
  const headers = { "Content-Type": "application/json", "X-Riverrun": "1" };
  if (token) headers.Authorization = `Bearer ${token}`;
  return answered(await fetch(path, { method: "POST", headers, body: JSON.stringify(body) }));
}

export const pathOf = (pipeline, part = "") => `/api/pipelines/${encodeURIComponent(pipeline)}${part && `/${part}`}`;
