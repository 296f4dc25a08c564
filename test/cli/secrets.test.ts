import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { test } from 'node:test'
import { isMeshError } from '../../src/core/base/index.ts'
import { createMesh } from '../../src/node/create-mesh.ts'
import { bin, json, local } from './real-nodes.ts'
import { Home } from './support.ts'

const secrets = { turn_password: 'hush-hush-47', turn_secret: 'north remembers 11' } as const

test('a secret option is stored and used, and shown by no command and in no log', async (t) => {
  const home = new Home(t, bin)
  await json(home, 'init', ...local, '--no-start')
  const shown: string[] = []
  const run = async (...args: readonly string[]): Promise<string> => {
    const { stdout, stderr } = await home.p2p(...args)
    shown.push(stdout, stderr)
    return stdout
  }
  assert.match(await run('config', 'get', 'turn_secret'), /"" +default/)
  for (const [key, value] of Object.entries(secrets)) {
    assert.match(await run('config', 'set', key, value), /\(set\)/)
    assert.deepEqual((await json<{ readonly options: readonly unknown[] }>(home, 'config', 'get', key)).options, [
      { option: key, value: '(set)', source: 'file' }
    ])
    assert.match(readFileSync(home.paths.configFile, 'utf8'), new RegExp(`^${key} = "${value}"$`, 'm'))
  }
  await run('config', 'set', 'turn_servers', 'turn:127.0.0.1:9')
  await run('config', 'set', 'log_level', 'trace')
  for (const args of [
    ['config', 'get'],
    ['config', 'get', '--json'],
    ['config', 'check', '--json'],
    ['config', 'set', 'turn_password', `${secrets.turn_password}\u0007`]
  ])
    await run(...args)
  await run('start', '--json')
  for (const args of [['status', '--detailed', '--json'], ['metrics'], ['logs', '--lines', '1000', '--json'], ['netcheck', '--json']])
    await run(...args)
  await run('stop')
  const all = [...shown, readFileSync(home.paths.logFile, 'utf8')].join('\n')
  for (const value of Object.values(secrets)) assert.ok(!all.includes(value), `${value} was shown`)
})

test('a node that is printed shows no secret of its options', async () => {
  const options = { network: 'test-secrets', mdns: false, listenAddrs: ['/ip4/127.0.0.1/tcp/0'], turnServers: ['turn:127.0.0.1:9'] } as const
  await using mesh = await createMesh({ ...options, turnSecret: secrets.turn_secret })
  assert.deepEqual([mesh.options.turnSecret, mesh.options.turnPassword], ['(set)', ''])
  assert.ok(!`${inspect(mesh, { depth: 9 })} ${JSON.stringify(mesh)}`.includes(secrets.turn_secret))
})

test('credentials in the address of a TURN server are refused, and not repeated', async () => {
  for (const server of ['turn:me:hush-hush-47@127.0.0.1:9', 'turn://me:hush-hush-47@127.0.0.1', 'turns:hush-hush-47@host'])
    await assert.rejects(createMesh({ network: 'test-secrets', mdns: false, listenAddrs: [], turnServers: [server] }), (error) => {
      assert.ok(isMeshError(error, 'ADDRESS_INVALID') && /turn_username/.test(error.message))
      return !inspect(error, { depth: 9 }).includes('hush-hush')
    })
})
