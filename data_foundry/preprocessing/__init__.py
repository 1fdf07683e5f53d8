"""Phase 2: raw dataset folders in, standardized silver rows and rejected rows with their reasons out."""
