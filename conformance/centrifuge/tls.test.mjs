// The package over TLS, over everything that carries a session: with a certificate that is its issuer's, and one that is not.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { serve } from './helpers.mjs';

const run = promisify(execFile);
let folder, server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'openline-'));
  const openssl = (...args) => run('openssl', args, { cwd: folder });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
  await openssl('req', '-x509', ...key, '-subj', '/CN=an issuer', '-keyout', 'ca.key', '-out', 'ca.pem');
  await openssl('req', '-x509', ...key, '-subj', '/CN=a server', '-keyout', 'server.key', '-out', 'server.pem', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE');
  server = await serve('--tls-cert', join(folder, 'server.pem'), '--tls-key', join(folder, 'server.key'));
});
after(() => server.end());

describe('over TLS', { timeout: 60_000 }, () => {
  test('talks, and recovers what it missed', async () => {
    // Node takes its trust when it begins.
    const env = { ...process.env, NODE_EXTRA_CA_CERTS: join(folder, 'ca.pem') };
    const { stdout } = await run(process.execPath, ['over_tls.mjs', server.port], { cwd: import.meta.dirname, env });
    assert.equal(stdout, 'websocket: 1,2,3\nprotobuf: 1,2,3\nhttp_stream: 1,2,3\nsse: 1,2,3\n');
  });

  test('not with whom nobody knows', async () => {
    await assert.rejects(run(process.execPath, ['over_tls.mjs', server.port], { cwd: import.meta.dirname }), /transport closed/);
  });
});
