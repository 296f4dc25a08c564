import { MetricRegistry, prometheusText } from '../../core/metrics/index.ts'

/** What the daemon counts besides its node: requests to the control API, over socket and ports. */
export class GatewayMetrics {
  readonly #registry = new MetricRegistry()

  answered(status: number): void {
    this.#registry.count('apiRequests', { status: `${Math.floor(status / 100)}xx` })
  }

  missed(events: number): void {
    this.#registry.count('apiMissedEvents', {}, events)
  }

  /** In Prometheus text format, with the gauges as they are now. */
  text(now: { readonly events: number; readonly webSockets: number; readonly tokens: number }): string {
    this.#registry.set('apiStreams', { kind: 'events' }, now.events)
    this.#registry.set('apiStreams', { kind: 'websocket' }, now.webSockets)
    this.#registry.set('apiTokens', {}, now.tokens)
    return prometheusText(this.#registry, 'daemon')
  }
}
