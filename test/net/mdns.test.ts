import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'

const child = fileURLToPath(new URL('mdns-child.ts', import.meta.url))
const names = ['a', 'b'].map((end) => `smmdns${process.pid}${end}`)
const addresses = ['10.213.77.1', '10.213.77.2']

const ip = (...parameters: readonly string[]): void => void execFileSync('ip', parameters, { stdio: 'pipe' })

/** What is missing for network namespaces; undefined when they work. */
function missing(): string | undefined {
  if (process.platform !== 'linux') return 'Linux'
  if (process.getuid?.() !== 0) return 'root'
  if (spawnSync('ip', ['-V']).error !== undefined) return 'iproute2'
  const probe = `${names[0]}p`
  if (spawnSync('ip', ['netns', 'add', probe]).status !== 0) return 'the right to make network namespaces'
  ip('netns', 'delete', probe)
  return undefined
}

/** Two namespaces, joined by a pair of virtual interfaces; gone when it is disposed. */
function makeNetwork(): Disposable {
  const [a = '', b = ''] = names
  const remove = (): void => {
    for (const name of names) spawnSync('ip', ['netns', 'delete', name])
  }
  try {
    for (const name of names) ip('netns', 'add', name)
    ip('link', 'add', 'mdns0', 'netns', a, 'type', 'veth', 'peer', 'name', 'mdns0', 'netns', b)
    for (const [index, name] of names.entries()) {
      ip('-n', name, 'address', 'add', `${addresses[index]}/24`, 'dev', 'mdns0')
      ip('-n', name, 'link', 'set', 'lo', 'up')
      ip('-n', name, 'link', 'set', 'mdns0', 'up')
      ip('-n', name, 'route', 'add', '224.0.0.0/4', 'dev', 'mdns0')
    }
  } catch (error) {
    remove()
    throw error
  }
  return { [Symbol.dispose]: remove }
}

interface Found {
  readonly own: string
  readonly found: readonly { readonly peerId: string; readonly claimedName: string; readonly foundBy: readonly string[] }[]
}

function startNode(index: number): ChildProcess {
  return spawn('ip', ['netns', 'exec', names[index] ?? '', process.execPath, child, addresses[index] ?? '', `mdns-${index}`, '1'], {
    stdio: ['pipe', 'pipe', 'inherit']
  })
}

async function reportOf(node: ChildProcess): Promise<Found> {
  assert.ok(node.stdout !== null)
  const [line] = await once(createInterface(node.stdout), 'line', { signal: AbortSignal.timeout(60_000) })
  return JSON.parse(String(line)) as Found
}

async function stop(node: ChildProcess): Promise<void> {
  const exited = node.exitCode === null ? once(node, 'exit') : undefined
  node.stdin?.end()
  await exited
}

function skip(context: TestContext, what: string): void {
  const text = `skipped: needs ${what}, run npm run setup:system`
  if (process.env['CI'] === 'true') assert.fail(text)
  context.skip(text)
}

test('two nodes in one local network find each other by mDNS, without any bootstrap node', { timeout: 120_000 }, async (context) => {
  const lack = missing()
  if (lack !== undefined) return skip(context, lack)
  using _network = makeNetwork()
  const nodes = [startNode(0), startNode(1)]
  try {
    const [first, second] = await Promise.all(nodes.map(reportOf))
    assert.ok(first !== undefined && second !== undefined)
    assert.deepEqual(first.found, [{ peerId: second.own, claimedName: 'mdns-1', foundBy: ['mdns'] }])
    assert.deepEqual(second.found, [{ peerId: first.own, claimedName: 'mdns-0', foundBy: ['mdns'] }])
  } finally {
    await Promise.all(nodes.map(stop))
  }
})
