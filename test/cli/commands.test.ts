import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { z } from 'zod'
import { catalogue, type CommandName } from '../../src/api/index.ts'
import { type ErrorCode, errorTable } from '../../src/core/base/index.ts'
import { checkTerminals, steady } from './narrow.ts'
import { Home } from './support.ts'

/** One line of each command, in an order in which each has something to say. */
const lines: readonly (readonly [CommandName, readonly string[]])[] = [
  ['init', ['init', '--max-peers', '100', '--name', 'me']],
  ['status', ['status']],
  ['status', ['status', '--detailed']],
  ['message', ['message', 'agent-001', '--msg-type', 'thought', '--content', 'Processing sensory data', '--priority', '8']],
  ['message', ['message', 'node-beta', '--msg-type', 'command', '--content', 'Execute task sequence', '--priority', '10']],
  ['message', ['message', 'stranger', 'hi']],
  ['message', ['message', 'echo', 'do it', '--request']],
  ['message', ['message', 'offline', 'later', '--wait', 'accepted', '--id', 'mine']],
  ['message', ['message', 'swarm-alpha', '--msg-type', 'coordination', '--content', 'Sync neural patterns', '--wait', 'accepted']],
  ['groupCreate', ['group', 'create', 'swarm-beta', '--member', 'agent-001', 'stranger']],
  ['groupAdd', ['group', 'add', 'swarm-alpha', 'echo']],
  ['groupRemove', ['group', 'remove', 'swarm-alpha', 'agent-002', 'stranger']],
  ['groupList', ['group']],
  ['groupList', ['group', 'list', 'swarm-alpha']],
  ['groupLeave', ['group', 'leave', 'swarm-alpha']],
  ['groupDelete', ['group', 'delete', 'swarm-alpha']],
  ['inboxList', ['inbox']],
  ['inboxList', ['inbox', 'list', '--state', 'held']],
  ['inboxRead', ['inbox', 'read', 'm1']],
  ['inboxRead', ['inbox', 'read', '--type', 'thought', '--limit', '2']],
  ['inboxReply', ['inbox', 'reply', 'm1', 'thanks']],
  ['inboxAck', ['inbox', 'ack', 'm1', 'unheard-of']],
  ['outboxList', ['outbox']],
  ['outboxRetry', ['outbox', 'retry']],
  ['outboxCancel', ['outbox', 'cancel', 'mine']],
  ['listen', ['listen', '--once', '--ack']],
  ['inboxConsumers', ['inbox', 'consumers']],
  ['inboxConsumers', ['inbox', 'consumers', 'add', 'planner']],
  ['inboxConsumers', ['inbox', 'consumers', 'add', 'gone']],
  ['inboxConsumers', ['inbox', 'consumers', 'remove', 'planner']],
  ['agentAdd', ['agent', 'add', 'planner']],
  ['agentList', ['agent']],
  ['agentRemove', ['agent', 'remove', 'planner']],
  ['agentList', ['agent', 'list']],
  ['invite', ['invite', '--expires', '600']],
  ['inviteList', ['invite', 'list']],
  ['inviteRevoke', ['invite', 'revoke', '1f2e3d4c']],
  ['inviteWait', ['invite', 'wait', '1f2e3d4c5b6a7988']],
  ['join', ['join', 'synaptic-invite-1-abc', '--as', 'bob']],
  ['peers', ['peers']],
  ['peers', ['peers', 'stranger']],
  ['pending', ['pending']],
  ['pending', ['pending', '--show']],
  ['approve', ['approve', 'stranger', '--as', 'guest', '--command']],
  ['peerList', ['peer']],
  ['peerRename', ['peer', 'rename', 'agent-001', 'planner']],
  ['peerTrust', ['peer', 'trust', 'agent-001', '--no-command']],
  ['peerBlock', ['peer', 'block', 'stranger', '--delete']],
  ['peerRemove', ['peer', 'remove', 'agent-002']],
  ['discover', ['discover', '--method', 'kademlia', '--count', '20']],
  ['discover', ['discover', '--method', 'mdns', '--count', '5']],
  ['ping', ['ping', 'agent-001', '--count', '2']],
  ['quantum', ['quantum', 'agent-001', '--level', '3']],
  ['nat', ['nat', 'agent-001', '--method', 'auto']],
  ['nat', ['nat', 'agent-002']],
  ['netcheck', ['netcheck']],
  ['circuitOpen', ['circuit', 'agent-001']],
  ['circuitOpen', ['circuit', 'agent-001', '--hops', '5', '--show-path']],
  ['circuitOpen', ['circuit', 'open', 'agent-001', '--hops', '1', '--level', '5']],
  ['circuitOpen', ['circuit', 'agent-001', '--hops', '8', '--allow-short']],
  ['circuitList', ['circuit', 'list']],
  ['circuitList', ['circuit', 'list', '--show-path']],
  ['circuitClose', ['circuit', 'close', '3f9a']],
  ['status', ['status', '--detailed']],
  ['trust', ['trust', 'agent-001']],
  ['metrics', ['metrics']],
  ['tokenCreate', ['gateway', 'token', 'create', '--name', 'reporter', '--scope', 'read']],
  ['tokenList', ['gateway', 'token', 'list']],
  ['tokenRevoke', ['gateway', 'token', 'revoke', 'reporter']],
  ['gateway', ['gateway', '--port', '0', '--print']],
  ['gatewayStop', ['gateway', 'stop']],
  ['configGet', ['config', 'get', 'max_peers']],
  ['configGet', ['config', 'get']],
  ['configSet', ['config', 'set', 'max_peers', '7']],
  ['configPath', ['config', 'path']],
  ['configCheck', ['config', 'check']],
  ['keysShow', ['keys']],
  ['keysBackup', ['keys', 'backup', 'HOME/backup', '--passphrase-file', 'HOME/pass']],
  ['keysRestore', ['keys', 'restore', 'HOME/backup', '--passphrase-file', 'HOME/pass', '--profile', 'other']],
  ['keysPasswd', ['keys', 'passwd', '--new-passphrase-file', 'HOME/pass']],
  ['keysPasswd', ['keys', 'passwd', '--plain']],
  ['doctor', ['doctor', '--deep']],
  ['bugreport', ['bugreport', '--output', 'HOME/report.json']],
  ['logs', ['logs', '--lines', '1']],
  ['wait', ['wait', '--peers', '2']],
  ['top', ['top', '--once']],
  ['trace', ['trace', 'agent-001']],
  ['bench', ['bench']],
  ['bench', ['bench', 'agent-001', '--seconds', '1']],
  ['servicePrint', ['service', 'print', '--kind', 'systemd']],
  ['servicePrint', ['service', 'print', '--kind', 'launchd']],
  ['serviceInstall', ['service', 'install', '--kind', 'systemd']],
  ['serviceInstall', ['service', 'install', '--kind', 'systemd', '--print']],
  ['serviceStatus', ['service', '--kind', 'systemd']],
  ['serviceUninstall', ['service', 'uninstall', '--kind', 'launchd']],
  ['serviceUninstall', ['service', 'uninstall', '--kind', 'systemd']],
  ['completion', ['completion', 'bash']],
  ['completion', ['completion', 'zsh']],
  ['completion', ['completion', 'fish']],
  ['context', ['context', 'stop']],
  ['help', ['help']],
  ['help', ['help', 'privacy']],
  ['help', ['help', 'inbox', 'ack']],
  ['restart', ['restart']],
  ['stop', ['stop']],
  ['start', ['start']],
  ['init', ['init', '--onion']],
  ['init', ['init', '--onion', '--no-relay']]
]

const inbox = [
  { id: 'm1', body: 'first line\nsecond \u001b[31mred\u001b[0m\u202e' },
  { id: 'm2', type: 'Command', expectsReply: true, label: 'planner', body: 'run\u009b2J', source: { peerId: '12D3KooWx', name: 'agent\u202e-001' } },
  { id: 'm3', state: 'held', paired: false, body: 'psst' },
  {
    id: 'm4',
    body: 'to all',
    group: { id: '0123456789abcdef0123456789abcdef', name: 'swarm\u202e-alpha', epoch: 2, message: 'g1', alone: false, member: true }
  }
]

async function runAll(home: Home, extra: readonly string[]): Promise<ReadonlyMap<string, { readonly name: CommandName; readonly stdout: string }>> {
  home.messages(inbox)
  writeFileSync(join(home.folder, 'pass'), 'correct horse battery\n', { mode: 0o600 })
  const answers = new Map<string, { readonly name: CommandName; readonly stdout: string }>()
  for (const [name, line] of lines) {
    const { code, stdout, stderr } = await home.p2p(...line.map((word) => word.replace('HOME', home.folder)), ...extra)
    assert.equal(code, 0, `${line.join(' ')}: ${stderr}`)
    assert.doesNotMatch(stdout + stderr, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/u, line.join(' '))
    answers.set(line.join(' '), { name, stdout })
  }
  return answers
}

test('under --json every command prints exactly one JSON value (a stream one a line) of the shape that its schema tells', async (t) => {
  const home = new Home(t)
  const answers = await runAll(home, ['--json'])
  for (const [line, { name, stdout }] of answers) {
    const values = stdout.trimEnd().split('\n')
    assert.equal(values.length, 1, line)
    assert.doesNotThrow(() => catalogue[name].output(z).parse(JSON.parse(values[0] ?? '')), line)
  }
  await t.test('on terminals of 40 and 80 columns tables turn into lines, and colours go with NO_COLOR: test/cli/golden-40.txt', async () => {
    const places = [
      [home.folder, '/home/me'],
      [process.execPath, '/usr/bin/node']
    ] as const
    const values = [...answers].map(([line, { name, stdout }]) => ({ line, name, value: steady(name, stdout, places) }))
    await checkTerminals(values, new URL('./golden-40.txt', import.meta.url))
  })
  // Those run nodes of their own.
  const elsewhere: ReadonlySet<string> = new Set(['demo', 'relayServe'])
  assert.deepEqual(new Set([...answers.values()].map(({ name }) => name)), new Set(Object.keys(catalogue).filter((name) => !elsewhere.has(name))))
})

const goldenFile = new URL('./golden.txt', import.meta.url)

/** What differs from run to run, by a name. */
const settled = (text: string, home: Home): string =>
  text
    .replaceAll(home.folder, 'HOME')
    .replaceAll(process.execPath, 'NODE')
    .replaceAll(/[^"<>]*\/fake-daemon\.js/g, 'DAEMON')
    .replaceAll(/pid[ =]\d+/g, 'pid PID')
    .replaceAll(/[\d.]+ MiB of memory/g, 'N MiB of memory')
    .replaceAll(/after [\d.]+ s/g, 'after N s')
    .replaceAll(/smt_[\w-]{43}/g, 'smt_TOKEN')
    .replaceAll(/(synaptic_mesh_api_requests_total\S*) \d+/g, '$1 N')
    .replaceAll(/127\.0\.0\.1:\d{4,5}(?=\/v1|\/metrics|\n)/g, '127.0.0.1:PORT')
    .replaceAll(/(made|used) \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/g, '$1 TIME')
    .replaceAll(/(up [\d.]+ s {3})[\d.]+ MiB/g, '$1N MiB')
    .replaceAll(/^([✓✗] [a-z-]+ +)[\d.]+ ms +/gm, '$1N ms  ')
    .replaceAll(/^(✓ (?:node|clock|disk): ).*$/gm, '$1…')
    .replaceAll(/(report\.json +)[\d.]+ KiB, \d+ lines? of/g, '$1N KiB, N lines of')
    .replaceAll(/as it was at [\d: -]+Z/g, 'as it was at TIME')
    .replaceAll(/(gateway\.\w+ .*port=)\d+/g, '$1PORT')
    .replaceAll(/answers; [\d.]+ ms in all/g, 'answers; N ms in all')
    .replaceAll(/measured in [\d.]+ s/g, 'measured in N s')
    .replaceAll(/^ {2}round trip {2}.*$/gm, '  round trip  …')
    .replaceAll(/^ {2}machine .*$/gm, '  machine     …')
    .replaceAll(/^(\S+\.service: [a-z]+), .*$/gm, '$1, …')
    .replaceAll(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ (info|warn|error)/gm, 'TIME $1')

/** Lines that fail, and how. */
const failing: readonly (readonly [ErrorCode, readonly string[]])[] = [
  ['CIRCUIT_TOO_FEW_RELAYS', ['circuit', 'agent-001', '--hops', '8']],
  ['CIRCUIT_NO_ENDPOINT', ['circuit', 'stranger']],
  ['PEER_UNKNOWN', ['circuit', 'nobody']],
  ['OPTION_INVALID', ['circuit', 'agent-001', '--hops', '9']],
  ['OPTION_INVALID', ['circuit', 'agent-001', '--level', '2']],
  ['CIRCUIT_UNKNOWN', ['circuit', 'close', 'ffff']]
]

test('what people are shown is what test/cli/golden.txt says (UPDATE=1 writes it anew)', async (t) => {
  const home = new Home(t)
  const answers = await runAll(home, [])
  const shown = [...answers].map(([line, { stdout }]) => `$ synaptic-mesh p2p ${line}\n${settled(stdout, home)}`)
  for (const [code, line] of failing) {
    const { code: exitCode, stdout, stderr } = await home.p2p(...line)
    assert.deepEqual([exitCode, stdout], [errorTable[code].exit, ''], line.join(' '))
    assert.ok(stderr.includes(`(${code})`), `${line.join(' ')}: ${stderr}`)
    shown.push(`$ synaptic-mesh p2p ${line.join(' ')}\n${settled(stderr, home)}`)
  }
  const text = shown.join('\n')
  if (process.env['UPDATE'] === '1') writeFileSync(goldenFile, text)
  assert.ok(existsSync(goldenFile))
  assert.equal(text, readFileSync(goldenFile, 'utf8'))
})
