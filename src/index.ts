export type { PrefetcherOptions, PrefetchStats } from "./caching/prefetcher.ts";
export { QueryOptimizer } from "./caching/query-optimizer.ts";
export type {
  PredictedQuery,
  PrefetchOptions,
  PreparedQuery,
  QueryFunction,
  QueryOptimizerOptions,
  QueryOptions,
  QueryPath,
} from "./caching/query-optimizer-options.ts";
export type { QueryStats } from "./caching/query-stats.ts";
export type { CacheSelector } from "./caching/result-cache.ts";
export type {
  ConsolidationReport,
  ConsolidationStats,
  HookReport,
  MoveCounts,
  PassFailure,
  PassStage,
} from "./consolidation/consolidation-report.ts";
export type { MemoryConsolidatorOptions, NeighbourSearch } from "./consolidation/consolidator-options.ts";
export { demotionPolicy } from "./consolidation/demotion-policy.ts";
export type {
  ComposedMemory,
  ConsolidationHooks,
  ExtractedFact,
  ExtractHook,
  HookDraft,
  HookInput,
  MemoryComposer,
  SummarizeHook,
} from "./consolidation/language-hooks.ts";
export {
  type AnalyzedCandidate,
  type BackgroundOptions,
  type ConsolidationOptions,
  MemoryConsolidator,
  type MoveResult,
} from "./consolidation/memory-consolidator.ts";
export type { MergeProposal } from "./consolidation/merge-plan.ts";
export type { MoveContext, MovePolicy, MoveRoute } from "./consolidation/move-policy.ts";
export type { NextMove } from "./consolidation/next-moves.ts";
export { promotionPolicy } from "./consolidation/promotion-policy.ts";
export type { Clock } from "./contract/clock.ts";
export type {
  ActionOutcome,
  Candidate,
  ConsolidationAction,
  MergeAction,
  MoveAction,
  UndoResult,
} from "./contract/consolidation.ts";
export type {
  EmbedCall,
  EmbeddingModel,
  EmbeddingPrice,
  EmbeddingReply,
  EmbeddingTask,
} from "./contract/embedding-model.ts";
export {
  type ErrorCode,
  type ErrorDetails,
  type ErrorKind,
  errorTable,
  StrataError,
} from "./contract/errors.ts";
export type { ChunkSource, Json, Memory, Metadata, StoredDocument, StoredVector } from "./contract/memory.ts";
export type {
  CleanupResult,
  Evicted,
  ForgetResult,
  JournalEntry,
  JournalKind,
  JournalPage,
  OrphanCounts,
  OrphanKind,
  StoreStats,
  TierStats,
  UpdateResult,
} from "./contract/memory-store.ts";
export {
  areNearDuplicates,
  type ComparedMemory,
  type NearDuplicateThresholds,
  nearDuplicateThresholds,
} from "./contract/near-duplicates.ts";
export {
  type OperationEvent,
  type OperationName,
  operationChannelName,
  operationNames,
  type StageEvent,
  stageChannelName,
} from "./contract/operations.ts";
export type { RankingOptions } from "./contract/ranking.ts";
export type {
  Explanation,
  Hit,
  HitExplanation,
  PackedHits,
  Passage,
  Recall,
  RecallMode,
  RecallRequest,
  Research,
  ResearchHit,
  SignalScore,
} from "./contract/recall.ts";
export type { RerankCall, Reranker } from "./contract/reranker.ts";
export type { SnapshotInfo } from "./contract/snapshot.ts";
export { defaultTierTable, type Tier, type TierLimits, type TierTable, tiers } from "./contract/tier.ts";
export type { BreadthChooser, SearchBreadth, TuningDecision } from "./contract/tuning.ts";
export type {
  CachedVector,
  VectorCache,
  VectorCacheEntry,
  VectorCacheStats,
} from "./contract/vector-cache.ts";
export { BatchEmbedder, type EmbedOptions } from "./embedding/batch-embedder.ts";
export type { BatchEmbedderOptions } from "./embedding/batch-embedder-options.ts";
export type { BatchEmbedderStats } from "./embedding/batch-embedder-stats.ts";
export type { EmbeddingCost } from "./embedding/cost-meter.ts";
export type { EmbeddedValues, EmbeddingFunction, FunctionModelOptions } from "./embedding/model-source.ts";
export { type HttpModel, type HttpModelOptions, openHttpModel } from "./embedding/models/http-model.ts";
export type { DeviceProbe, OnnxDevice } from "./embedding/models/onnx-device.ts";
export type { OnnxFolderOptions, Pooling } from "./embedding/models/onnx-folder.ts";
export {
  type OnnxModel,
  type OnnxModelOptions,
  openOnnxModel,
  probeOnnxDevices,
} from "./embedding/models/onnx-model.ts";
export { type OpenModelOptions, openModel } from "./embedding/models/open-model.ts";
export { SqliteVectorCache, type SqliteVectorCacheOptions } from "./embedding/sqlite-vector-cache.ts";
export type { QueryCacheOptions } from "./engine/cached-recall.ts";
export type { Time } from "./engine/check-values.ts";
export type { ConsolidateOptions, MemoryLife, MemoryRelevance } from "./engine/consolidate-options.ts";
export { verifyExport } from "./engine/export-format.ts";
export type { ExportOptions } from "./engine/export-memories.ts";
export type { FilterOptions } from "./engine/filter-options.ts";
export type {
  AuditCheck,
  AuditFinding,
  AuditOptions,
  AuditReport,
} from "./engine/hygiene/audit.ts";
export type { SecretFinding } from "./engine/hygiene/find-secrets.ts";
export type {
  HygieneFindings,
  HygieneFlag,
  HygieneOptions,
  HygienePolicy,
} from "./engine/hygiene/write-hygiene.ts";
export type { ImportOptions, ImportReport } from "./engine/import-memories.ts";
export type {
  IngestedDocument,
  IngestOptions,
  IngestProgress,
  IngestReport,
  IngestSource,
} from "./engine/ingest-options.ts";
export { type OpenOptions, openMemory } from "./engine/open-memory.ts";
export type { RecallOptions, SearchOptions } from "./engine/recall-options.ts";
export type { ReembedOptions, ReembedProgress, ReembedReport } from "./engine/reembed-options.ts";
export { type RepairMemoryOptions, repairMemory } from "./engine/repair-memory.ts";
export { type RestoreMemoryOptions, restoreMemory } from "./engine/restore-memory.ts";
export type { TuningReport } from "./engine/self-tuning.ts";
export type {
  DiffSnapshotOptions,
  LoadSnapshotOptions,
  SaveSnapshotOptions,
  SnapshotChange,
  SnapshotDiff,
  SnapshotField,
  SnapshotLoad,
  Snapshots,
} from "./engine/snapshots.ts";
export type {
  MemoryFields,
  StoreItem,
  StoreOptions,
  StoreResult,
  UpdatePatch,
} from "./engine/store-options.ts";
export { Strata } from "./engine/strata.ts";
export type {
  BackupOptions,
  BackupReport,
  CallOptions,
  ForgetOptions,
  JournalOptions,
  ListOptions,
  PageOptions,
  Progress,
  StoredItem,
  StoreManyOptions,
  StoreManyResult,
  UpdateOptions,
} from "./engine/verb-options.ts";
export { type LogFields, Logger, type LoggerOptions, type LogLevel } from "./monitoring/logger.ts";
export { exportToOpenTelemetry, type OpenTelemetryOptions } from "./monitoring/open-telemetry.ts";
export type { OperationReport } from "./monitoring/operation-record.ts";
export { PerformanceMonitor, type PerformanceMonitorOptions } from "./monitoring/performance-monitor.ts";
export type {
  MetricReport,
  PerformanceReport,
  ProcessReport,
  SlowOperation,
} from "./monitoring/performance-report.ts";
export { type CacheFigures, type PrometheusSources, renderPrometheus } from "./monitoring/prometheus.ts";
export { type OperationListener, onOperations, watchOperations } from "./monitoring/watch-operations.ts";
export { createHttpReranker, type HttpRerankerOptions } from "./retrieval/http-reranker.ts";
export type { MeasuredRecall } from "./retrieval/measure-recall.ts";
export type {
  JournalLoss,
  LostDocument,
  LostMemory,
  LostVectors,
  RepairReport,
  TornDocument,
  TornSnapshot,
} from "./storage/sqlite/repair-report.ts";
export type { Restored } from "./storage/sqlite/restore-database.ts";
export type { DatabaseReport } from "./storage/sqlite/verify-database.ts";
export type { CacheTunerState } from "./tuning/cache-tuner.ts";
export type { SearchTunerState } from "./tuning/search-tuner.ts";
