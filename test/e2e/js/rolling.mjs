// Nodes that are replaced by new processes with the same configuration, as a roll does it, or as after a crash.
import { spawn } from "node:child_process";

const list = name => process.env[name].split(",");
const replacements = [];
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const runs = pid => {
  try { return process.kill(pid, 0); } catch { return false; }
};
const ready = url => fetch(`${url}/readyz`).then(answer => answer.ok, () => false);

export const pids = list("PIDS").map(Number);

export async function replace(i, signal = "SIGTERM") {
  process.kill(pids[i], signal);
  while (runs(pids[i])) await pause(50);
  const child = spawn(process.env.BINARY, ["serve", "--config", list("CONFIGS")[i]], {
    stdio: ["ignore", "inherit", "inherit"], env: { ...process.env, GORACE: "halt_on_error=1" },
  });
  child.on("exit", code => {
    if (code) throw new Error(`node ${i} ended with ${code}`);
  });
  replacements.push(child);
  pids[i] = child.pid;
  while (!await ready(list("OPS")[i])) await pause(50);
}

export function endReplacements() {
  for (const child of replacements) child.kill("SIGKILL");
}
