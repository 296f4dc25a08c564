import { openApiDocument } from '../../api/openapi.ts'
import { safeJson } from '../../core/base/index.ts'
import { prometheusContentType } from '../../core/metrics/index.ts'
import { jsonType } from '../../api/index.ts'
import type { Page } from '../control-server.ts'

export interface PageParts {
  readonly version: string
  metrics(): Promise<string>
  isHealthy(): Promise<boolean>
}

/** What is served besides the operations: metrics for Prometheus, a sign of life, and the description of it all. */
export function pagesOf({ version, metrics, isHealthy }: PageParts): ReadonlyMap<string, Page> {
  let description: Promise<string> | undefined
  const describe = async (): Promise<string> => {
    const { z } = await import('zod')
    return `${safeJson(openApiDocument(z, version))}\n`
  }
  return new Map<string, Page>([
    ['/metrics', { scope: 'read', contentType: prometheusContentType, text: metrics }],
    ['/healthz', { scope: 'read', contentType: jsonType, text: async () => `${safeJson({ ok: true, healthy: await isHealthy() })}\n` }],
    ['/v1/openapi.json', { scope: 'read', contentType: jsonType, text: () => (description ??= describe()) }]
  ])
}
