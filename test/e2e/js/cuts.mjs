// A line to a server that can be cut: as when both ends learn of it, or half-open, as by a phone that changes networks, when
// the server's end stays open and silent.
import net from "node:net";

// target is the server's URL, or a function that returns one for each connection.
export async function line(target) {
  const next = typeof target === "function" ? target : () => target;
  const pairs = new Set(), silent = new Set();
  let open = true;
  const server = net.createServer(near => {
    if (!open) return near.destroy();
    const { hostname, port } = new URL(next());
    const far = net.connect(port, hostname);
    const pair = { near, far };
    pairs.add(pair);
    near.pipe(far).pipe(near);
    for (const end of [near, far]) {
      end.on("error", () => {});
      end.on("close", () => {
        if (pairs.delete(pair)) {
          near.destroy();
          far.destroy();
        }
      });
    }
  });
  await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut(halfOpen) {
      open = false;
      for (const pair of pairs) {
        pairs.delete(pair);
        pair.near.unpipe();
        pair.far.unpipe();
        pair.near.destroy();
        if (!halfOpen) {
          pair.far.destroy();
          continue;
        }
        pair.far.pause();
        silent.add(pair.far);
      }
    },
    mend() {
      open = true;
    },
    end() {
      this.cut(false);
      server.close();
      for (const far of silent) far.destroy();
    },
  };
}
