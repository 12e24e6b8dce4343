/** A memory that did not come back. */
export interface LostMemory {
  readonly namespace: string;
  /** Absent: nothing tells it any more. */
  readonly id?: string;
}

/** A document of which nothing came back. */
export interface LostDocument {
  readonly namespace: string;
  readonly uri: string;
}

/** A document of which chunks did not come back. */
export interface TornDocument extends LostDocument {
  readonly id: string;
  /** Numbers of the chunks that are missing. */
  readonly chunks: readonly number[];
}

/** Vectors of memories that came back, of which none of this model did. */
export interface LostVectors {
  /** Absent: nothing tells its name any more. */
  readonly model?: string;
  readonly vectors: number;
}

/** A named snapshot that did not come back as it was. */
export interface TornSnapshot {
  readonly namespace: string;
  /** `recovered-…` where nothing tells its name any more. */
  readonly name: string;
  /** How many of its memories came back; 0: there is no such snapshot any more. */
  readonly memories: number;
  /** How many did not; absent: nothing tells how many there were. */
  readonly lost?: number;
}

/** What of the record of moves did not come back. */
export interface JournalLoss {
  /** Rows that are in it. */
  readonly rows: number;
  readonly lost: number;
  /** Rows that are there without what `undo` needs: documents that left, and what was damaged. */
  readonly withoutUndo: number;
}

export interface RepairReport {
  /** Where the repaired memory is. */
  readonly path: string;
  /** Where the damaged one is kept, when it was replaced. */
  readonly kept?: string;
  readonly memories: number;
  readonly documents: number;
  readonly namespaces: number;
  readonly lost: readonly LostMemory[];
  readonly lostDocuments: readonly LostDocument[];
  readonly torn: readonly TornDocument[];
  /** Documents that came back without their own row: title, tags and name as far as something else tells them. */
  readonly rebuilt: readonly LostDocument[];
  /** Ids of memories of which the index says something else than they do: look at them. */
  readonly doubtful: readonly LostMemory[];
  /** Memories that came back without what they lived by: in `semantic`, of importance .5. */
  readonly relived: readonly LostMemory[];
  /** Memories that had a vector and have none of any model: found by words until they are embedded again. */
  readonly withoutVector: number;
  /** By model, also where a vector of another model is left. */
  readonly lostVectors: readonly LostVectors[];
  readonly journal: JournalLoss;
  /** How many named snapshots there are. */
  readonly snapshots: number;
  readonly tornSnapshots: readonly TornSnapshot[];
  /** Memories that the journal or a snapshot keeps without their vector. */
  readonly keptWithoutVector: number;
  /** Decisions of self-tuning that did not come back. */
  readonly lostTuning: number;
  /** Namespaces whose name did not come back, by the one they have now. */
  readonly renamed: readonly string[];
  /** Namespaces in which consolidation begins anew: where it stood is told by what a repair makes again. */
  readonly restarted: readonly string[];
  /** Pages of committed writes behind a damage of the log that were found again. */
  readonly logPages: number;
}
