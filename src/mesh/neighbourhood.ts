import type { Libp2p } from '@libp2p/interface'
import type { MeshOptions } from '../core/options/index.ts'
import type { LogRecord, HealthFinding } from './mesh.ts'
import type { PeerBook, Resolved } from './peer-book.ts'
import type { PairRecord, Platform } from './ports.ts'
import type { ProtocolHost } from './protocol-host.ts'
import type { Tracker } from './tracker.ts'
export class Neighbourhood {
  o: any
  constructor(o: { libp2p: Libp2p; platform: Platform; options: MeshOptions; host: ProtocolHost; book: PeerBook; tracker: Tracker; log: (r: LogRecord) => void; onDiscovered: (p: string) => void; onPaired: (p: PairRecord) => void }) { this.o = o }
  async start() {}
  async stop() {}
  findings(): HealthFinding[] { return [] }
  async resolve(name: string): Promise<Resolved> { return this.o.book.resolve(name) }
  async discover(_: any): Promise<any> {}
  async invite(_: any): Promise<any> {}
  async join(_: any, _b: any): Promise<any> {}
  async ping(_: any, _b: any): Promise<any> {}
}
