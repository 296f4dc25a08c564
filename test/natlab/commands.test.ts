import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { build, DaemonHost } from './daemon-host.ts'
import { isSkipped, Lab, stunServer, turnRestServer, turnServer } from './lab.ts'

interface Report {
  readonly result: string
  readonly path?: string
  readonly now?: string
  readonly reason?: string
  readonly attempts: readonly { readonly method: string; readonly ok: boolean; readonly reason?: string }[]
}

interface Site {
  readonly lab: Lab
  /** A daemon that knows the relay and the STUN server. */
  start(name: string, ...args: readonly string[]): Promise<DaemonHost>
}

/** A laboratory in which `p2p relay serve` runs. */
async function bringUp(t: TestContext, sites: readonly string[]): Promise<Site> {
  build()
  const lab = await Lab.up({ sites, publicHosts: ['relay:1', 'turn:2'] })
  t.after(() => lab.down())
  const relay = new DaemonHost(lab, 'relay')
  const { flags } = await relay.serveRelay('--open')
  t.after(() => relay[Symbol.asyncDispose]())
  return {
    lab,
    async start(name, ...args) {
      const host = new DaemonHost(lab, name)
      t.after(() => host[Symbol.asyncDispose]())
      await host.init(...flags, '--stun', stunServer, ...args)
      return host
    }
  }
}

async function configure(host: DaemonHost, settings: Readonly<Record<string, string>>): Promise<void> {
  for (const [key, value] of Object.entries(settings)) await host.json('config', 'set', key, value)
  await host.json('restart')
}

const countOf = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0

test('a relay with a public address tells others the host name that it announces', { timeout: 60_000 }, async (t) => {
  if (isSkipped(t)) return
  build()
  const lab = await Lab.up({ sites: [], publicHosts: ['relay:1'] })
  t.after(() => lab.down())
  const relay = new DaemonHost(lab, 'relay')
  const { flags } = await relay.serveRelay('--announce', 'relay.example.org')
  t.after(() => relay[Symbol.asyncDispose]())
  assert.deepEqual(
    flags.map((flag) => flag.replace(/\/p2p\/.*/, '')),
    ['--relay', '/dns/relay.example.org/tcp/9000', '--relay', '/dns/relay.example.org/tcp/443/ws', '--bootstrap', '/dns/relay.example.org/tcp/9000']
  )
})

test('p2p nat peer-behind-nat --method auto, and p2p nat peer-stun --method stun', { timeout: 180_000 }, async (t) => {
  if (isSkipped(t)) return
  const { start } = await bringUp(t, ['port1:15:port', 'port2:16:port', 'sym1:17:sym', 'tcp1:21:tcp'])
  const [me, behind, hard, silent] = await Promise.all(['port1', 'port2', 'sym1', 'tcp1'].map((name) => start(name)))
  assert.ok(me !== undefined && behind !== undefined && hard !== undefined && silent !== undefined)
  await me.join(behind, 'peer-behind-nat')
  // The first time the peer may still be measuring its own network.
  let auto = await me.p2p('nat', 'peer-behind-nat', '--method', 'auto')
  for (let attempt = 0; attempt < 5 && auto.stdout.includes('peer: NAT not known'); attempt++)
    auto = await me.p2p('nat', 'peer-behind-nat', '--method', 'auto')
  assert.equal(auto.code, 0, auto.stderr)
  assert.match(auto.stdout, /^you: port-restricted NAT · peer: port-restricted NAT\n✓ direct, punched through the NATs/)
  const stun = await me.p2p('nat', 'port2', '--method', 'stun')
  assert.equal(stun.code, 0, stun.stderr)
  assert.match(stun.stdout, /punched through the NATs/)
  await t.test('where STUN cannot work it is exit 7 with the reason, and the relay works', async () => {
    await me.join(hard, 'peer-stun')
    const { code, stdout } = await me.p2p('nat', 'peer-stun', '--method', 'stun', '--json')
    const report: Report = JSON.parse(stdout)
    assert.deepEqual([code, report.result, report.now], [7, 'failed', 'relayed'])
    assert.match(report.reason ?? '', /punching cannot work between a port-restricted and a symmetric NAT/)
    const shown = await me.p2p('nat', 'peer-stun', '--method', 'stun')
    assert.equal(shown.code, 7)
    assert.match(`${shown.stdout}${shown.stderr}`, /punching cannot work/)
    assert.equal((await me.json<Report>('nat', 'peer-stun')).result, 'relayed')
  })
  await t.test('UDP that is blocked is named, whichever side', async () => {
    await silent.join(behind, 'peer-stun')
    const { code, stdout } = await silent.p2p('nat', 'peer-stun', '--method', 'stun', '--json')
    assert.equal(code, 7)
    assert.match((JSON.parse(stdout) as Report).reason ?? '', /UDP is blocked on our side/)
    const turn = await silent.p2p('nat', 'peer-stun', '--method', 'turn', '--json')
    assert.equal(turn.code, 7)
  })
  await t.test('status has the rates, and they survive a restart', async () => {
    const count = async (): Promise<number> => (await me.json<{ readonly nat: { readonly count: number } }>('status')).nat.count
    const { stdout } = await me.p2p('metrics')
    assert.match(stdout, /nat_attempts_total\{[^}]*method="ice"[^}]*\} [1-9]/)
    assert.match(stdout, /nat_connect_ms_count\{path="punched"\} [1-9]/)
    const before = await count()
    await me.json('restart')
    assert.ok(before >= 2 && (await count()) >= before)
  })
})

test('p2p nat peer-relay --method turn between two symmetric NATs, with both kinds of credentials', { timeout: 180_000 }, async (t) => {
  if (isSkipped(t)) return
  const { lab, start } = await bringUp(t, ['sym1:17:sym', 'sym2:18:sym'])
  const [me, other] = await Promise.all(['sym1', 'sym2'].map((name) => start(name)))
  assert.ok(me !== undefined && other !== undefined)
  await me.join(other, 'peer-relay')
  await other.join(me, 'peer-relay')
  const turn = async (from = me): Promise<{ readonly code: number | null; readonly report: Report; readonly text: string }> => {
    const { code, stdout, stderr } = await from.p2p('nat', 'peer-relay', '--method', 'turn', '--json')
    return { code, report: JSON.parse(stdout), text: stdout + stderr }
  }
  const allocations = async (server: 'a' | 'b'): Promise<number> => countOf(await lab.turnLog(server), /ALLOCATE processed, success/g)

  await t.test('without a TURN server it is an error that says so', async () => {
    const { code, text } = await turn()
    assert.equal(code, 7)
    assert.match(text, /[Nn]o TURN server/)
  })
  await t.test('with user and password', async () => {
    const before = await allocations('a')
    await configure(me, { turn_servers: turnServer.url, turn_username: turnServer.username, turn_password: turnServer.password })
    const { code, report, text } = await turn()
    assert.deepEqual([code, report.result, report.path], [0, 'turn', 'turn'], text)
    assert.ok((await allocations('a')) > before, 'coturn gave an allocation')
    const { status } = await me.json<{ readonly status: string }>('message', 'peer-relay', 'over the TURN server')
    assert.equal(status, 'stored')
  })
  await t.test('auto takes it where nothing else works', async () => {
    assert.equal((await me.json<Report>('nat', 'peer-relay', '--method', 'auto')).path, 'turn')
  })
  await t.test('a wrong password is an error that names it', async () => {
    await configure(me, { turn_password: 'wrong' })
    const { code, text } = await turn()
    assert.equal(code, 7)
    assert.match(text, /password|credential|401|[Uu]nauthori[sz]ed/)
    assert.ok(!text.includes('"wrong"'))
    assert.match((await me.p2p('netcheck')).stdout, /credentials are wrong \(401\) \(TURN_FAILED\)\n {2}Check turn_servers/)
  })
  await t.test('with a shared secret', async () => {
    const before = await allocations('b')
    await configure(other, { turn_servers: turnRestServer.url, turn_username: 'other', turn_secret: turnRestServer.secret })
    const { code, report, text } = await turn(other)
    assert.deepEqual([code, report.result], [0, 'turn'], text)
    assert.ok((await allocations('b')) > before, 'coturn gave an allocation')
  })
  await t.test('secrets are not shown', async () => {
    const { stdout } = await other.p2p('config', 'get')
    assert.ok(!stdout.includes(turnRestServer.secret), stdout)
    const { stdout: log } = await other.p2p('logs')
    assert.ok(!log.includes(turnRestServer.secret))
  })
})
