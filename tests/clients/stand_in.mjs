// What the scripts for Node.js share; see stand_in.py.
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

export const asked = JSON.parse(await text(process.stdin));

// Throws where something is not as it should be.
export function check(is, what) {
  if (!is) throw new Error(`not so: ${what}`);
}

// A platform's API at the port that was asked for: remembers its calls, answers each with what `answer` makes of it: a
// status and a value.
export class StandIn {
  calls = [];
  base = `http://127.0.0.1:${asked.port}`;

  constructor(answer = () => [200, {}]) {
    this.server = createServer(async (request, response) => {
      const call = { method: request.method, path: request.url, headers: request.headers, body: await text(request) };
      const [status, value] = answer(call, this.calls);
      this.calls.push(call);
      response.writeHead(status, { "content-type": "application/json", connection: "close" }).end(JSON.stringify(value));
    });
    this.server.listen(asked.port, "127.0.0.1").unref();
  }

  // The calls, once there are so many, and no more of them.
  async after(count) {
    const until = Date.now() + 20_000;
    while (this.calls.length < count && Date.now() < until) await new Promise((done) => setTimeout(done, 20));
    check(this.calls.length === count, `${count} calls: ${JSON.stringify(this.calls)}`);
    return [...this.calls];
  }
}

// What a request is answered: status and text. With a body it is posted.
export async function ask(url, body, headers = {}) {
  const answer = await fetch(url, body === undefined ? {} : { method: "POST", headers, body });
  return [answer.status, await answer.text()];
}
