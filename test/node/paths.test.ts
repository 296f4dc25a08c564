import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkProfileName, profilePaths } from '../../src/node/paths.ts'

const home = { HOME: '/home/ada' }

test('a profile lives in the XDG folders', () => {
  const paths = profilePaths({
    profile: 'work',
    environment: { ...home, XDG_CONFIG_HOME: '/c', XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/run/user/1' }
  })
  assert.equal(paths.configFile, '/c/synaptic-mesh/work.toml')
  assert.equal(paths.identityFile, '/s/synaptic-mesh/work/identity.key')
  assert.equal(paths.runtimeFolder, '/run/user/1/synaptic-mesh/work')
  assert.equal(paths.socketPath, '/run/user/1/synaptic-mesh/work/control.sock')
})

test('without XDG variables, or with relative ones, everything is under the home folder, never under /tmp', () => {
  for (const environment of [home, { ...home, XDG_STATE_HOME: 'relative', XDG_RUNTIME_DIR: '', XDG_CONFIG_HOME: './c' }]) {
    const { configFile, stateFolder, runtimeFolder } = profilePaths({ profile: 'default', environment })
    assert.deepEqual(
      [configFile, stateFolder, runtimeFolder],
      [
        '/home/ada/.config/synaptic-mesh/default.toml',
        '/home/ada/.local/state/synaptic-mesh/default',
        '/home/ada/.local/state/synaptic-mesh/run/default'
      ]
    )
  }
})

test('--data-dir and --config override', () => {
  const paths = profilePaths({ profile: 'a', dataDir: '/data', config: '/etc/mesh.toml', environment: home })
  assert.deepEqual([paths.stateFolder, paths.runtimeFolder, paths.configFile], ['/data/a', '/data/run/a', '/etc/mesh.toml'])
})

test('names that leave the folder, hide in it, or are something else on another system are refused', () => {
  const bad = [
    '',
    '.',
    '..',
    '../x',
    'a/b',
    'a\\b',
    '/etc',
    '%2e%2e',
    'a%2fb',
    'A',
    'ä',
    '-a',
    '_a',
    'a b',
    'a\0',
    'a\n',
    'con',
    'nul',
    'com1',
    'x'.repeat(41),
    '__proto__',
    '~',
    '$HOME',
    'a.b'
  ]
  for (const name of bad) {
    assert.throws(() => checkProfileName(name), { code: 'PROFILE_NAME_INVALID' }, name)
    assert.throws(() => profilePaths({ profile: name, environment: home }), { code: 'PROFILE_NAME_INVALID' }, name)
  }
  for (const name of ['a', 'default', 'agent-001', 'a_b', '0', 'x'.repeat(40)]) assert.equal(checkProfileName(name), name)
})

test('a socket path never exceeds what the operating system takes, and differs for each profile', () => {
  const deep = `/${'d'.repeat(90)}`
  const socketOf = (profile: string, runtime: string | undefined): string =>
    profilePaths({ profile, dataDir: deep, environment: { ...home, XDG_RUNTIME_DIR: runtime } }).socketPath
  const [one, two] = [socketOf('profile-one', '/run/user/1000'), socketOf('profile-two', '/run/user/1000')]
  for (const path of [one, two]) assert.ok(Buffer.byteLength(path) <= 107 && path.startsWith('/run/user/1000/synaptic-mesh/'), path)
  assert.notEqual(one, two)
  assert.equal(one, socketOf('profile-one', '/run/user/1000'))
  assert.throws(() => profilePaths({ profile: 'a', dataDir: `/${'d'.repeat(120)}`, environment: home }), { code: 'PATH_UNSAFE' })
})
