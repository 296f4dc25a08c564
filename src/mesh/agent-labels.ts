import { MeshError, type WallMillis } from '../core/base/index.ts'
import { cardLimits, isAgentLabel } from '../core/peers/index.ts'
import type { AgentInfo, Agents } from './mesh.ts'
import type { AgentRecord, AgentStore } from './ports.ts'

export interface AgentLabelsOptions {
  readonly store: AgentStore
  /** As the store has them at the start. */
  readonly agents: readonly AgentRecord[]
  readonly wall: () => WallMillis
  /** The card is another one from now on. */
  readonly onChange: () => void
}

/** The agents behind this node: labels on its card, kept over restarts. */
export class AgentLabels implements Agents {
  readonly #options: AgentLabelsOptions
  readonly #agents: Map<string, AgentInfo>

  constructor(options: AgentLabelsOptions) {
    this.#options = options
    this.#agents = new Map(options.agents.map((agent) => [agent.label, agent]))
  }

  /** As the card says them, by name. */
  get labels(): readonly string[] {
    return [...this.#agents.keys()].sort().slice(0, cardLimits.labels)
  }

  list(): Promise<readonly AgentInfo[]> {
    return Promise.resolve([...this.#agents.values()].sort((a, b) => (a.label < b.label ? -1 : 1)))
  }

  async add(label: string): Promise<boolean> {
    if (!isAgentLabel(label))
      throw new MeshError('OPTION_INVALID', {
        path: 'label',
        value: JSON.stringify(label.slice(0, 80)),
        allowed: '1 to 64 of A-Z a-z 0-9 . _ -, with a letter or digit first'
      })
    if (this.#agents.has(label)) return false
    if (this.#agents.size >= cardLimits.labels) throw new MeshError('AGENT_LIMIT', { max: cardLimits.labels })
    const agent = { label, createdAt: this.#options.wall() }
    this.#agents.set(label, agent)
    try {
      await this.#options.store.saveAgent(agent)
    } catch (error) {
      this.#agents.delete(label)
      throw error
    }
    this.#options.onChange()
    return true
  }

  async remove(label: string): Promise<void> {
    if (!(await this.#options.store.removeAgent(label))) throw new MeshError('AGENT_UNKNOWN', { label: label.slice(0, 80) })
    this.#agents.delete(label)
    this.#options.onChange()
  }
}
