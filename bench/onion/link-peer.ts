/** One end of the links of bench/onion/links.ts, in a process of its own: `sink` takes cells, `source ADDRESS` sends them as fast as they are taken. */
import { multiaddr } from '@multiformats/multiaddr'
import { type Cell, maxFrameCells } from '../../src/core/onion/index.ts'
import { type CellLink, type LinkHandler } from '../../src/mesh/onion/cell-link.ts'
import { keyOf } from '../../src/mesh/peer-book.ts'
import { cellOf, startLinkNode } from '../../test/net/onion-link-support.ts'

const [role, address = ''] = process.argv.slice(2)
const cells: readonly Cell[] = Array.from({ length: maxFrameCells }, (_, index) => cellOf(7, index))
let cellsOfWrite = maxFrameCells

/** Sends without end; what it sends is copied by the link. */
const source = (link: CellLink): LinkHandler => ({
  take: (max) => cells.slice(0, Math.min(max, cellsOfWrite)),
  receive: () => undefined,
  ended: () => process.exit(link.opener === 'us' ? 0 : 1),
  circuits: 1
})

const node = await startLinkNode()
process.once('disconnect', () => process.exit(0))
process.on('message', (message) => {
  if (typeof message === 'number') cellsOfWrite = message
})
if (role === 'source') {
  const publicKey = keyOf(
    multiaddr(address)
      .getComponents()
      .findLast(({ name }) => name === 'p2p')?.value ?? ''
  )
  await node.links.open({ as: 'client', publicKey, addresses: [address], make: source })
}
process.send?.(String(node.host.libp2p.getMultiaddrs()[0]))
