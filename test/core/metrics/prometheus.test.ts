import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type LabelValues, metricCatalogue, MetricRegistry, prometheusText } from '../../../src/core/metrics/index.ts'

describe('metrics', () => {
  it('writes every metric of the catalogue with its help and type', () => {
    const registry = new MetricRegistry()
    const texts = { node: prometheusText(registry), daemon: prometheusText(registry, 'daemon') }
    for (const entry of Object.values(metricCatalogue)) {
      const head = `# HELP ${entry.name} ${entry.help}\n# TYPE ${entry.name} ${entry.type}\n`
      const isOfDaemon = 'part' in entry
      assert.deepEqual([texts.node.includes(head), texts.daemon.includes(head)], [!isOfDaemon, isOfDaemon], entry.name)
    }
    for (const text of Object.values(texts)) assert.ok(text.endsWith('\n'))
  })

  it('writes lines that follow text format 0.0.4', () => {
    const registry = new MetricRegistry()
    registry.count('bytes', { direction: 'sent' }, 12)
    registry.set('peers', { state: 'connected' }, 3)
    registry.observe('latency', {}, 0.004)
    registry.observe('latency', {}, 9_999)
    const line = /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"\n]*"(,[a-z]+="[^"\n]*")*\})? (\d+(\.\d+)?|\+Inf|NaN))$/
    for (const each of prometheusText(registry).trimEnd().split('\n')) assert.match(each, line)
    assert.ok(prometheusText(registry).includes('synaptic_mesh_bytes_total{direction="sent"} 12\n'))
  })

  it('cumulates the buckets of a histogram up to +Inf', () => {
    const registry = new MetricRegistry()
    for (const value of [0.0005, 0.004, 0.004, 7_200]) registry.observe('latency', {}, value)
    const text = prometheusText(registry)
    assert.match(text, /latency_seconds_bucket\{le="0.001"\} 1\n/)
    assert.match(text, /latency_seconds_bucket\{le="0.005"\} 3\n/)
    assert.match(text, /latency_seconds_bucket\{le="3600"\} 3\n.*le="\+Inf"\} 4\n/)
    assert.match(text, /latency_seconds_sum 7200.0085\n.*_count 4\n/)
  })

  it('bounds what a label can hold, and escapes what it does', () => {
    const registry = new MetricRegistry()
    for (let index = 0; index < 1_000; index++) registry.count('protocolErrors', { protocol: `/p"\\\n/${index}`, code: 'MESSAGE_MALFORMED' })
    registry.count('errors', { code: 'made up' })
    const text = prometheusText(registry)
    assert.equal(text.match(/protocol_errors_total\{/g)?.length, 33)
    assert.ok(text.includes('protocol_errors_total{protocol="other",code="MESSAGE_MALFORMED"} 968\n'))
    assert.ok(text.includes('protocol="/p\\"\\\\\\n/0"'))
    assert.ok(text.includes('synaptic_mesh_errors_total{code="other"} 1\n'))
  })

  it('has no label that could name a peer', () => {
    for (const { labels } of Object.values(metricCatalogue))
      for (const [label, values] of Object.entries<LabelValues>(labels)) {
        assert.ok(!/peer|key|id|address|name/i.test(label), label)
        // The path of a connection is one of seven words; a path that anybody could make up is none.
        if (/path/i.test(label)) assert.ok(Array.isArray(values), label)
      }
  })

  it('never lets a counter go back', () => {
    const registry = new MetricRegistry()
    registry.countTo('bytes', { direction: 'sent' }, 100)
    registry.countTo('bytes', { direction: 'sent' }, 40)
    registry.count('bytes', { direction: 'sent' }, -5)
    assert.equal(registry.value('bytes', { direction: 'sent' }), 100)
  })
})
