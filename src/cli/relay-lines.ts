import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { bytes, count, milliseconds } from './text.ts'

type Status = OutputOf<Catalogue['status']>

/** Rows of `status`: the relays over which the node is reached, and what it does as one. */
export function relayRows({ relays, serving }: Pick<Status, 'relays' | 'serving'>): readonly (readonly [string, string])[] {
  const rows = relays.map(
    ({ address, reserved, latencyMs }, index) =>
      [
        index === 0 ? '  relays' : '',
        `${safe(address)}  ${reserved ? `a place, ${latencyMs === undefined ? '' : milliseconds(latencyMs)}` : 'no place'}`
      ] as const
  )
  return serving === undefined ? rows : [...rows, ['  relay', servingText(serving)]]
}

/** What `relay serve` says once its ports are open. */
export function relayServeLines(value: OutputOf<Catalogue['relayServe']>, output: Output): readonly string[] {
  return [
    `${output.paint('green', '✓')} relay of profile ${value.profile} runs, pid ${value.pid}${value.open ? ', open to everybody' : ', for paired peers'}`,
    ...value.addresses.map((address) => `  listening on ${safe(address)}`),
    ...(value.stunPort === 0 ? [] : [`  STUN on UDP port ${value.stunPort}`]),
    'Others use it with:',
    `  synaptic-mesh p2p init ${safe(value.flags)}`,
    ...(value.open ? [] : [`and get a place once they are paired: ${output.proposal('invite')}    there: synaptic-mesh p2p join INVITE`])
  ]
}

function servingText({ reservations, circuits, bytes: carried, refused, stunPort }: NonNullable<Status['serving']>): string {
  const total = Object.values(refused).reduce((sum, number) => sum + number, 0)
  return [
    `${count(reservations, 'place')} kept, ${count(circuits, 'circuit')} open, ${bytes(carried)} carried, ${total} refused or cut`,
    ...(stunPort === 0 ? [] : [`STUN on UDP port ${stunPort}`])
  ].join('; ')
}
