import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MeshError } from '../../../src/core/base/index.ts'
import {
  allowedValues,
  environmentName,
  type OptionKey,
  optionTable,
  parseOption,
  resolveConfig,
  resolveOptions
} from '../../../src/core/options/index.ts'

const keys = Object.keys(optionTable) as OptionKey[]
const camelCase = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

function errorOf(run: () => unknown): MeshError {
  try {
    run()
  } catch (error) {
    if (error instanceof MeshError) return error
    throw error
  }
  throw new assert.AssertionError({ message: 'nothing was thrown' })
}

test('without any layer every option has its default, and the object is complete and frozen', () => {
  const { options, sources } = resolveOptions({})
  assert.deepEqual(Object.keys(options), keys.map(camelCase))
  assert.equal(options.maxPeers, 50)
  assert.ok(Object.isFrozen(options) && Object.isFrozen(options.listenAddrs) && Object.isFrozen(sources))
  assert.ok(Object.values(sources).every((source) => source === 'default'))
})

test('a STUN or TURN server that is none is told what one looks like', () => {
  const hintOf = (options: Readonly<Record<string, unknown>>): string => errorOf(() => resolveConfig(options)).hint
  assert.match(hintOf({ stunServers: ['stun:'] }), /stun:stun\.example\.org:3478/)
  assert.match(hintOf({ turnServers: ['turns:turn.example.org'] }), /turn:turn\.example\.org:3478/)
  assert.match(hintOf({ relays: ['/ip4/11.77.1.2/tcp/9000'] }), /\/ip4\/192\.0\.2\.1\/tcp\/9000\/p2p\//)
})

test('a flag beats the environment, which beats the file, which beats the default', () => {
  const file = { max_peers: 10, log_level: 'warn', network: 'blue' }
  const environment = { SYNAPTIC_MESH_MAX_PEERS: '20', SYNAPTIC_MESH_LOG_LEVEL: 'debug' }
  const { options, sources } = resolveOptions({ flags: { max_peers: 30 }, environment, file })
  assert.deepEqual([options.maxPeers, options.logLevel, options.network, options.httpPort], [30, 'debug', 'blue', 0])
  assert.deepEqual([sources.max_peers, sources.log_level, sources.network, sources.http_port], ['flag', 'environment', 'file', 'default'])
})

test('the library takes keys in camelCase and in snake_case, but not one option in both', () => {
  assert.equal(resolveConfig({ maxPeers: 7 }).maxPeers, 7)
  assert.equal(resolveConfig({ max_peers: 7 }).maxPeers, 7)
  assert.equal(errorOf(() => resolveConfig({ maxPeers: 7, max_peers: 7 })).code, 'OPTION_INVALID')
  assert.equal(errorOf(() => resolveConfig('max_peers')).code, 'OPTION_INVALID')
})

test('an unknown key is an error with the nearest name, whatever the layer', () => {
  const inFile = errorOf(() => resolveOptions({ file: { max_pers: 3 } }))
  assert.equal(inFile.code, 'OPTION_UNKNOWN')
  assert.equal(inFile.hint, 'Did you mean max_peers?')
  const inEnvironment = errorOf(() => resolveOptions({ environment: { SYNAPTIC_MESH_MAX_PEER: '3' } }))
  assert.equal(inEnvironment.code, 'OPTION_UNKNOWN')
  assert.equal(inEnvironment.hint, 'Did you mean SYNAPTIC_MESH_MAX_PEERS?')
  assert.equal(errorOf(() => resolveOptions({ flags: { zzz: 1 } })).code, 'OPTION_UNKNOWN')
  for (const name of ['__proto__', 'constructor', 'toString'])
    assert.equal(errorOf(() => resolveOptions({ file: JSON.parse(`{"${name}": 1}`) })).code, 'OPTION_UNKNOWN')
})

test('each option refuses what is out of its range, and says its path and what it takes', () => {
  for (const key of keys) {
    const entry = optionTable[key]
    const wrong: unknown[] =
      entry.type === 'boolean'
        ? ['yes', 1]
        : entry.type === 'integer'
          ? [entry.min - 1, entry.max + 1, 1.5, '1', Number.NaN]
          : entry.type === 'list'
            ? ['x', [5], ...(entry.of === 'peer-id' ? [['x']] : []), Array(entry.maxItems + 1).fill('/ip4/127.0.0.1/tcp/1')]
            : entry.type === 'text' && entry.pattern.test('no spaces here')
              ? ['x'.repeat(257), 'a\u0000b', 5]
              : ['no spaces here', ...(entry.type === 'text' && entry.pattern.test('Ä') ? ['a\u0000b'] : ['Ä']), 5]
    for (const value of wrong) {
      const error = errorOf(() => resolveOptions({ file: { [key]: value } }))
      assert.equal(error.code, 'OPTION_INVALID', `${key} = ${String(value)}`)
      assert.ok(String(error.details['path']).startsWith(key))
    }
    assert.ok(allowedValues(key).length > 0)
  }
})

test('the ML-KEM level is 1, 3 or 5', () => {
  for (const level of [1, 3, 5]) assert.equal(resolveConfig({ mlkem_security_level: level }).mlkemSecurityLevel, level)
  for (const level of [0, 2, 4, 6]) assert.match(errorOf(() => resolveConfig({ mlkem_security_level: level })).message, /one of 1, 3, 5/)
})

test('a part that is not built can be switched off and not on', () => {
  for (const key of keys) {
    const entry = optionTable[key]
    if (!('built' in entry) || entry.type !== 'boolean') continue
    assert.doesNotThrow(() => resolveConfig({ [key]: false }))
    const error = errorOf(() => resolveConfig({ [key]: true }))
    assert.equal(error.code, 'NOT_AVAILABLE')
    assert.equal(error.exitCode, 2)
  }
  assert.equal(errorOf(() => resolveOptions({ environment: { SYNAPTIC_MESH_SHADOW_ADDRESSES: 'true' } })).code, 'NOT_AVAILABLE')
  assert.equal(resolveOptions({ environment: { SYNAPTIC_ENABLE_ONION: 'true' } }).options.onionRouting, true)
})

test('the four older names of the environment still work, and the new name wins', () => {
  const peer = `/ip4/192.0.2.1/tcp/9000/p2p/12D3KooW${'x'.repeat(44)}`
  const environment = {
    SYNAPTIC_MAX_PEERS: '11',
    SYNAPTIC_QUANTUM_LEVEL: '3',
    SYNAPTIC_ENABLE_ONION: 'false',
    SYNAPTIC_BOOTSTRAP_PEERS: `${peer}, ${peer}`
  }
  const { options } = resolveOptions({ environment })
  assert.deepEqual([options.maxPeers, options.mlkemSecurityLevel, options.onionRouting, options.bootstrapPeers], [11, 3, false, [peer, peer]])
  assert.equal(resolveOptions({ environment: { ...environment, SYNAPTIC_MESH_MAX_PEERS: '12' } }).options.maxPeers, 12)
})

test('a text of the environment must be a whole value', () => {
  for (const text of ['', '5x', '0x10', '1e3', ' 5']) assert.equal(errorOf(() => parseOption('max_peers', text)).code, 'OPTION_INVALID')
  for (const text of ['maybe', '2', '']) assert.equal(errorOf(() => parseOption('mdns', text)).code, 'OPTION_INVALID')
  assert.equal(parseOption('mdns', 'OFF'), false)
  assert.ok(keys.every((key) => environmentName(key).startsWith('SYNAPTIC_MESH_')))
  assert.doesNotThrow(() => resolveOptions({ environment: { SYNAPTIC_MESH_PROFILE: 'x', SYNAPTIC_MESH_DATA_DIR: '/x', SYNAPTIC_MESH_CONFIG: '/x' } }))
})
