import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isMeshError } from '../../../src/core/base/index.ts'
import { type PathInputs, profilePaths } from '../../../src/core/options/index.ts'

const inputs = (changes: Partial<PathInputs> = {}): PathInputs => ({
  environment: { HOME: '/home/a' },
  home: '/home/os',
  platform: 'linux',
  profile: 'default',
  ...changes
})

test('without XDG variables everything is under the home folder, nothing under /tmp', () => {
  assert.deepEqual(profilePaths(inputs()), {
    profile: 'default',
    stateFolder: '/home/a/.local/state/synaptic-mesh/default',
    runtimeFolder: '/home/a/.local/state/synaptic-mesh/run/default',
    configFile: '/home/a/.config/synaptic-mesh/default.toml',
    identityFile: '/home/a/.local/state/synaptic-mesh/default/identity.key',
    logFile: '/home/a/.local/state/synaptic-mesh/default/daemon.log',
    socketPath: '/home/a/.local/state/synaptic-mesh/run/default/control.sock'
  })
})

test('XDG variables are honoured when they are absolute and ignored when not', () => {
  const environment = { HOME: '/h', XDG_RUNTIME_DIR: '/run/user/1', XDG_STATE_HOME: 'relative', XDG_CONFIG_HOME: '/c' }
  const paths = profilePaths(inputs({ environment, profile: 'p' }))
  assert.deepEqual(
    [paths.socketPath, paths.stateFolder, paths.configFile],
    ['/run/user/1/synaptic-mesh/p/control.sock', '/h/.local/state/synaptic-mesh/p', '/c/synaptic-mesh/p.toml']
  )
})

test('a data folder holds everything, and --config is the file itself', () => {
  const paths = profilePaths(inputs({ dataDir: '/d', config: '/x/y.toml' }))
  assert.deepEqual([paths.stateFolder, paths.socketPath, paths.configFile], ['/d/default', '/d/run/default/control.sock', '/x/y.toml'])
})

test("a socket's path never has more than 107 bytes, and two folders never share one", () => {
  const environment = { HOME: '/h', XDG_RUNTIME_DIR: '/run/user/1' }
  const long = (letter: string): string => profilePaths(inputs({ environment, dataDir: `/d/${letter.repeat(120)}` })).socketPath
  assert.ok(Buffer.byteLength(long('x')) <= 107)
  assert.notEqual(long('x'), long('y'))
  assert.throws(
    () => profilePaths(inputs({ dataDir: `/d/${'x'.repeat(120)}` })),
    (error) => isMeshError(error, 'PATH_UNSAFE')
  )
})

test('a profile name is nothing but a name', () => {
  const wrong = [
    '',
    '.',
    '..',
    '../x',
    'a/b',
    '/etc',
    'a\\b',
    'A',
    'ä',
    'a b',
    '-a',
    '%2e%2e',
    'a\0',
    'con',
    'lpt1',
    'x'.repeat(41),
    'x'.repeat(4096)
  ]
  for (const profile of wrong)
    assert.throws(
      () => profilePaths(inputs({ profile })),
      (error) => isMeshError(error, 'PROFILE_NAME_INVALID'),
      JSON.stringify(profile)
    )
  assert.throws(
    () => profilePaths(inputs({ dataDir: '/a\0b' })),
    (error) => isMeshError(error, 'PATH_UNSAFE')
  )
  assert.throws(
    () => profilePaths(inputs({ config: `/${'x'.repeat(5000)}` })),
    (error) => isMeshError(error, 'PATH_UNSAFE')
  )
})
