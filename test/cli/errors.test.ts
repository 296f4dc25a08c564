import assert from 'node:assert/strict'
import { test } from 'node:test'
import { errorReport } from '../../src/api/catalogue/shapes.ts'
import { z } from 'zod'
import { Home } from './support.ts'

test('what a command could not do is its exit code, and a report on stderr that follows its schema', async (t) => {
  const home = new Home(t)
  assert.equal((await home.p2p('init')).code, 0)
  const failing: readonly (readonly [readonly string[], number, string])[] = [
    [['message', 'offline', 'hi'], 7, 'NOT_STORED_YET'],
    [['message', 'refuser', 'hi', '--msg-type', 'command'], 4, 'COMMAND_NOT_ALLOWED'],
    [['message', 'nobody', 'hi'], 5, 'PEER_UNKNOWN'],
    [['message', 'twin', 'hi'], 2, 'NAME_AMBIGUOUS'],
    [['message', 'agent-001'], 2, 'USAGE'],
    [['message', 'agent-001', 'hi', '--request', '--timeout', '1'], 6, 'TIMEOUT'],
    [['ping', 'offline'], 7, 'PEER_UNREACHABLE'],
    [['join', 'nonsense'], 9, 'INVITE_INVALID'],
    [['inbox', 'ack', 'nothing'], 5, 'MESSAGE_UNKNOWN'],
    [['outbox', 'cancel', 'nothing'], 5, 'MESSAGE_UNKNOWN'],
    [['wait', '--peers', '9', '--timeout', '0.1'], 6, 'TIMEOUT'],
    [['config', 'get', 'max_pears'], 2, 'OPTION_UNKNOWN'],
    [['config', 'set', 'max_peers', '0'], 2, 'OPTION_INVALID'],
    [['config', 'set', 'bootstrap_peers', '/ip4/bootstrap.node/tcp/1'], 2, 'ADDRESS_INVALID'],
    [['start'], 3, 'DAEMON_RUNNING']
  ]
  for (const [args, exit, code] of failing) {
    const { code: exitCode, stderr } = await home.p2p(...args, '--json')
    assert.equal(exitCode, exit, `${args.join(' ')}: ${stderr}`)
    const { error } = JSON.parse(stderr)
    assert.doesNotThrow(() => errorReport(z).parse(error))
    assert.equal(error.code, code, args.join(' '))
  }
})

test('the same id twice is a conflict, and a message that waits can be cancelled once', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  assert.equal((await home.p2p('message', 'offline', 'x', '--id', 'a', '--wait', 'accepted')).code, 0)
  const conflict = await home.p2p('message', 'offline', 'y', '--id', 'a', '--json')
  assert.deepEqual([conflict.code, JSON.parse(conflict.stderr).error.code], [9, 'ID_CONFLICT'])
  assert.equal((await home.p2p('outbox', 'cancel', 'a')).code, 0)
  const again = await home.p2p('outbox', 'cancel', 'a', '--json')
  assert.deepEqual([again.code, JSON.parse(again.stderr).error.code], [9, 'NOT_CANCELLABLE'])
})

test('a message that waits is printed and is exit 7 all the same, with its id on stdout', async (t) => {
  const home = new Home(t)
  await home.p2p('init')
  const { code, stdout, stderr } = await home.p2p('message', 'offline', 'hi', '--json', '--id', 'w')
  assert.equal(code, 7)
  assert.deepEqual([JSON.parse(stdout).id, JSON.parse(stdout).status], ['w', 'accepted'])
  assert.equal(JSON.parse(stderr).error.retryable, true)
})

test('without a profile every command that needs one says how to make it, exit 3', async (t) => {
  const home = new Home(t)
  for (const args of [
    ['status'],
    ['message', 'a', 'b'],
    ['start'],
    ['stop'],
    ['restart'],
    ['logs'],
    ['inbox'],
    ['config', 'check'],
    ['config', 'set', 'mdns', 'false'],
    ['status', '--ephemeral']
  ]) {
    const { code, stderr } = await home.p2p(...args, '--json')
    assert.equal(code, 3, args.join(' '))
    const { error } = JSON.parse(stderr)
    assert.equal(error.code, 'NOT_INITIALIZED')
    assert.deepEqual(error.next, ['synaptic-mesh p2p init'])
  }
})

test('an empty value empties a text or a list', async (t) => {
  const home = new Home(t)
  await home.p2p('init', '--no-start')
  for (const [key, value, empty] of [
    ['turn_username', 'somebody', ''],
    ['stun_servers', 'stun:192.0.2.1', []]
  ] as const) {
    for (const text of [value, '']) assert.equal((await home.p2p('config', 'set', key, text)).code, 0, `${key} = '${text}'`)
    const { stdout } = await home.p2p('config', 'get', key, '--json')
    assert.deepEqual(JSON.parse(stdout).options, [{ option: key, value: empty, source: 'file' }])
  }
  assert.equal((await home.p2p('config', 'set', 'max_peers', '')).code, 2)
})
