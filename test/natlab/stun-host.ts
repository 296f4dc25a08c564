import { parseIceServer } from '../../src/core/options/list-items.ts'
import { StunProber } from '../../src/node/stun-prober.ts'
import { StunServer } from '../../src/node/stun-server.ts'

/** Runs in a host of the laboratory: `serve` says `ready` and serves until its input ends; otherwise it asks the servers that it is told and prints what it found. */
const [...args] = process.argv.slice(2)
if (args[0] === 'serve') {
  await using _ = await StunServer.start({ hosts: ['0.0.0.0'], port: 3478 })
  console.log('ready')
  for await (const _chunk of process.stdin);
} else {
  const servers = args.map((server) => parseIceServer(server, 'stun', 'argument'))
  const startedAt = performance.now()
  const probe = await new StunProber().probe(servers, AbortSignal.timeout(10_000))
  console.log(JSON.stringify({ ...probe, tookMs: performance.now() - startedAt }))
}
