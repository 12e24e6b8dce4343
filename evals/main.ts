import { runMeasurement } from "../scripts/measurement.ts";

process.exitCode = await runMeasurement(import.meta.dirname, process.argv.slice(2));
