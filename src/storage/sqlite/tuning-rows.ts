import type { TuningDecision } from "../../contract/tuning.ts";
import { maxTuningDecisions } from "../tuning-bound.ts";
import type { Connection } from "./connection.ts";

/** To be called inside a write. */
export function addTuning(db: Connection, { at, parameter, before, after, reason }: TuningDecision): void {
  db.run(
    "insert into tuning (at, parameter, before, after, reason) values (?, ?, ?, ?, ?)",
    at,
    parameter,
    before,
    after,
    reason,
  );
  db.run(
    "delete from tuning where id <= (select id from tuning order by id desc limit 1 offset ?)",
    maxTuningDecisions,
  );
}

/** Newest first. */
export function readTuning(db: Connection, limit: number): TuningDecision[] {
  const rows = db.all<[number, string, number, number, string]>(
    "select at, parameter, before, after, reason from tuning order by id desc limit ?",
    limit,
  );
  return rows.map(([at, parameter, before, after, reason]) => ({ at, parameter, before, after, reason }));
}
