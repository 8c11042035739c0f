// Jobs in Node.js, with nothing but what comes with it: the handler `http` calls this service, and
// what it answers is the job's result. Any other language can do the same.
'use strict';

const { createHmac, timingSafeEqual } = require('node:crypto');
const { createServer } = require('node:http');

const SECRET = process.env.JOBS_HTTP_SECRET ?? '';
const PORT = Number(process.env.PORT ?? 3000);
const MAX_AGE_S = 300; // an older call is a copy that somebody kept
const MAX_BODY_BYTES = 1_000_000;

// The work itself: how often each word stands in a text.
function countWords(text) {
  const counts = new Map();
  for (const word of text.toLowerCase().match(/\p{L}+/gu) ?? []) {
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort((a, b) => b[1] - a[1]));
}

// X-Job-Signature: t=SECONDS,v1=HEX, over "SECONDS.JOB.ATTEMPT." and the body. It shows that a
// worker that knows the secret has sent exactly this, a short time ago.
function trusted(headers, body) {
  const parts = /^t=(\d{1,12}),v1=([0-9a-f]{64})$/.exec(headers['x-job-signature'] ?? '');
  if (!parts || Math.abs(Date.now() / 1000 - Number(parts[1])) > MAX_AGE_S) return false;
  const start = `${parts[1]}.${headers['x-job-id']}.${headers['x-job-attempt']}.`;
  const right = createHmac('sha256', SECRET).update(start).update(body).digest();
  return timingSafeEqual(right, Buffer.from(parts[2], 'hex'));
}

async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

// 2xx: done, with the answer as result. 4xx: failed at once. 429 and 5xx: run again.
async function answer(request) {
  const body = await read(request);
  if (body === null) return [413, { error: 'too large' }];
  if (!trusted(request.headers, body)) return [401, { error: 'the signature is not right' }];
  let data;
  try {
    data = JSON.parse(body);
  } catch {
    return [400, { error: 'not JSON' }];
  }
  if (typeof data?.text !== 'string') return [422, { error: 'text: must be a string' }];
  return [200, { words: countWords(data.text) }];
}

if (SECRET.length < 16) {
  console.error('JOBS_HTTP_SECRET: set the secret that the workers sign with, 16 characters or more');
  process.exit(2);
}

const server = createServer(async (request, response) => {
  let told;
  try {
    told = await answer(request);
  } catch (error) {
    told = [500, { error: String(error) }];
  }
  response.writeHead(told[0], { 'Content-Type': 'application/json' }).end(JSON.stringify(told[1]));
});
server.listen(PORT, '127.0.0.1', () => {
  console.log(`ready: http://127.0.0.1:${server.address().port}/`);
});
process.on('SIGTERM', () => server.close(() => process.exit(0)));
