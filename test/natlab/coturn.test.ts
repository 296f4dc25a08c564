import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { inRoot } from '../../scripts/lib/paths.ts'
import { isSkipped, Lab, relayHosts } from './lab.ts'
import { poll } from './net.ts'

const file = inRoot('docs', 'coturn.conf')
const address = relayHosts.relay

/** coturn with the very file of the docs, in the host `relay`; what it said when it has ended. */
function startCoturn(lab: Lab): { readonly child: ChildProcess; readonly said: Promise<string> } {
  const own = [`--userdb=${lab.folder}/docs-turndb`, `--pidfile=${lab.folder}/docs-turn.pid`]
  const child = spawn('ip', ['netns', 'exec', `${lab.prefix}-relay`, 'turnserver', '-c', file, '--verbose', ...own], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  return { child, said: text(child.stdout) }
}

/** A credential as nodes make it of `turn_secret` (TURN REST API). */
function credential(secret: string): readonly string[] {
  const username = `${Math.floor(Date.now() / 1_000) + 3_600}:node`
  return ['-u', username, '-w', createHmac('sha1', secret).update(username).digest('base64')]
}

test(
  "the docs' coturn.conf serves STUN and TURN with the shared secret, refuses another one, and lets nobody into its own network",
  { timeout: 60_000 },
  async (t) => {
    if (isSkipped(t)) return
    await using lab = await Lab.up({ sites: ['sym1:17:sym'], publicHosts: ['relay:1', 'turn:2', 'open1:3'] })
    const { child: coturn, said } = startCoturn(lab)
    t.after(() => coturn.kill('SIGKILL'))
    const askStun = (): ReturnType<Lab['run']> => lab.run('sym1', ['timeout', '2', 'turnutils_stunclient', '-p', '3478', address])
    await poll('STUN answers', 15_000, async () => /UDP reflexive addr: 11\.77\.17\.2:\d+/.test((await askStun()).stdout))
    // It waits for an echo that never comes: what counts is what the server answers.
    const client = async (secret: string, peer: string): Promise<string> => {
      const args = [...credential(secret), '-e', peer, '-r', '3480', '-n', '1', '-m', '1', '-v', '-p', '3478', address]
      const { stdout, stderr } = await lab.run('sym1', ['timeout', '4', 'turnutils_uclient', ...args])
      return stdout + stderr
    }
    const [good, wrong, inside] = await Promise.all([
      client('CHANGE-ME', '11.77.3.2'),
      client('another', '11.77.3.2'),
      client('CHANGE-ME', '127.0.0.1')
    ])
    assert.match(good, /Received relay addr: 11\.77\.1\.2:\d+/)
    assert.match(good, /cb response received: \n.*success/)
    assert.doesNotMatch(wrong, /Received relay addr/)
    assert.match(inside, /Received relay addr/)
    coturn.kill('SIGTERM')
    await once(coturn, 'exit')
    const log = await said
    assert.match(log, /ALLOCATE processed, success/)
    assert.match(log, /user <\d+:node>: incoming packet message processed, error 401: Unauthorized/)
    assert.match(log, /processed, error 403: Forbidden IP/)
    assert.doesNotMatch(log, /CONFIG ERROR|Bad configuration|unknown argument/i)
  }
)
