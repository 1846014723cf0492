"""The API under `/api/v1`: what does each endpoint take and give?"""
