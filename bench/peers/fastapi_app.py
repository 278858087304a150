"""The usual front of Celery: an endpoint that validates the body, queues the task and answers 202 with its id."""
from typing import Any, Dict

from celery_app import noop
from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Submission(BaseModel):
    type: str
    payload: Dict[str, Any] = {}


@app.post("/api/v1/jobs", status_code=202)
def submit(job: Submission):
    return {"id": noop.delay(job.payload).id, "type": job.type, "status": "QUEUED"}
