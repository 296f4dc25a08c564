import type { Catalogue, OutputOf } from '../api/index.ts'
import { safe } from './output.ts'
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

function servingText({ reservations, circuits, bytes: carried, refused, stunPort }: NonNullable<Status['serving']>): string {
  const total = Object.values(refused).reduce((sum, number) => sum + number, 0)
  return [
    `${count(reservations, 'place')} kept, ${count(circuits, 'circuit')} open, ${bytes(carried)} carried, ${total} refused or cut`,
    ...(stunPort === 0 ? [] : [`STUN on UDP port ${stunPort}`])
  ].join('; ')
}
