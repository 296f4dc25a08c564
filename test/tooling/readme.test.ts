/** A stranger who types what README.md shows gets what it says. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { inRoot, root, toolEnvironment } from '../../scripts/lib/paths.ts'

let folder = ''
let text = ''
let output = ''

/** A home of its own, loopback only: the machine's own profiles and network stay as they are. */
const environment = (): NodeJS.ProcessEnv =>
  toolEnvironment({
    HOME: folder,
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_STATE_HOME: join(folder, 'state'),
    XDG_DATA_HOME: join(folder, 'data'),
    XDG_CACHE_HOME: join(folder, 'cache'),
    XDG_RUNTIME_DIR: join(folder, 'run'),
    SYNAPTIC_MESH_LISTEN_ADDRS: '/ip4/127.0.0.1/tcp/0',
    SYNAPTIC_MESH_MDNS: 'false'
  })

function section(title: string): string {
  const start = text.indexOf(`## ${title}\n`)
  assert.ok(start >= 0, `README.md has a part ${title}`)
  const end = text.indexOf('\n## ', start + 1)
  return text.slice(start, end)
}

const shellOf = (part: string): string => [...part.matchAll(/^```sh\n(.*?)^```/gms)].map(([, body = '']) => body).join('')

function run(script: string): { readonly status: number | null; readonly output: string } {
  // npx finds the bin of this very checkout; a function saves the second that it takes each time. One case below goes through npx itself.
  const prelude = 'npx() { shift; echo "\\$ $*" >&2; node bin/synaptic-mesh.js "$@"; }\nset -euo pipefail\n'
  const result = spawnSync('bash', ['-c', prelude + script], { cwd: root, encoding: 'utf8', env: environment(), timeout: 120_000 })
  return { status: result.status, output: `${result.stdout}${result.stderr}` }
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sm-readme-'))
  spawnSync('mkdir', ['-m', '700', join(folder, 'run')])
  text = await readFile(inRoot('README.md'), 'utf8')
})

after(async () => {
  for (const profile of ['alice', 'bob'])
    spawnSync(process.execPath, ['bin/synaptic-mesh.js', 'p2p', 'stop', '--profile', profile, '--no-start'], { cwd: root, env: environment() })
  await rm(folder, { recursive: true, force: true })
})

test('the two commands to begin with stand within the first 20 lines', () => {
  const head = text.split('\n').slice(0, 20).join('\n')
  assert.match(head, /npm ci && npm run demo/)
  assert.match(head, /npm ci && npm test/)
})

describe('the tutorial', () => {
  before(() => {
    const tutorial = run(shellOf(section('Two agents in five minutes')))
    output = tutorial.output
    assert.equal(tutorial.status, 0, output)
  })
  test('says that the messages are stored at alice', () => assert.equal([...output.matchAll(/✓ stored at alice/g)].length, 3, output))
  test('shows them in the inbox of alice', () => assert.match(output, /Processing sensory data/))
  test('shows them as read in the outbox of bob', () => assert.match(output, /\bread\b/))
  test('gives a listening agent one JSON value for the command', () => {
    const line = output.split('\n').find((each) => each.startsWith('{') && each.includes('Execute task sequence'))
    assert.equal(typeof JSON.parse(line ?? ''), 'object')
  })
})

test('npx runs the bin of the checkout under Node 24', () => {
  const { status, stdout, stderr } = spawnSync('npx', ['synaptic-mesh', '--version'], {
    cwd: root,
    encoding: 'utf8',
    env: environment(),
    timeout: 60_000
  })
  assert.equal(status, 0, stderr)
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
})
