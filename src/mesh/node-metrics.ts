export class NodeMetrics { protocolError(..._: any[]) {} refused(..._: any[]) {} arrived(..._: any[]) {} outbox(..._: any[]) {} text(..._: any[]): string { return '' } }
